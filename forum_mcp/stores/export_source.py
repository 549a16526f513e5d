"""The record as verification reads it, of an export or of a ledger file: as it is, believing nothing."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from forum_mcp.ledger.export import ExportSource
from forum_mcp.ledger.verify import Source
from forum_mcp.stores.export_index import LINE_MAX_BYTES, read_head
from forum_mcp.stores.recognition import is_export
from forum_mcp.stores.source import open_source as open_file_source

__all__ = ["open_source"]


@contextmanager
def open_source(path: Path, *, vkeys: Sequence[str] = ()) -> Generator[Source]:
    """Hold a ledger file or an export for verification, whatever its state; writes nothing.

    Raises:
        LedgerMissing: no such file.
        LedgerUnreadable: a directory, no right to read it, or JSON that is no export.
    """
    if not is_export(path):
        with open_file_source(path, vkeys=vkeys) as source:
            yield source
        return
    with path.open("rb") as file:
        read_head(file, path.name)
    yield ExportSource(_Lines(path))


class _Lines:
    """The lines of a file, read anew each time they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while line := file.readline(LINE_MAX_BYTES):
                yield line
