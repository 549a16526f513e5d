"""The export: a whole ledger as JSON Lines, self-contained, for somebody who never installed us.

One head line, the entries in seq order, the bodies, the signed checkpoints. Reading is verification's business:
``ExportSource`` gives the lines as they are, and everything wrong with them becomes a finding.
"""

from collections.abc import Iterable, Iterator

import msgspec

from forum_mcp.errors import LedgerUnreadable
from forum_mcp.ledger.lines import (
    BodyLine,
    CheckpointLine,
    EntryLine,
    ExportHead,
    body_line,
    numbered,
    raw_body,
    read_line,
    written,
)
from forum_mcp.ledger.verify.source import RawBody, RawEntry, Source, SourceFault, read

__all__ = ["FORMAT", "ExportSource", "write"]

FORMAT = "forum-export/v1"


_Line = ExportHead | EntryLine | BodyLine | CheckpointLine
_DECODER: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_ORDER = (ExportHead, EntryLine, BodyLine, CheckpointLine)


def write(
    source: Source, *, ledger: str, size: int, notes: Iterable[str], without_bodies: bool = False
) -> Iterator[bytes]:
    """Yield the lines of an export, each ended by a newline.

    A body that cannot be unpacked is left out: verifying the export then finds it missing.

    Args:
        source: what to export; its vkeys, entries and bodies are read once.
        ledger: ledger id.
        size: number of entries, as many as ``source.entries()`` will give.
        notes: signed checkpoints.
        without_bodies: leave the bodies out, and say so in the head.

    Raises:
        LedgerUnreadable: an entry cannot be read, or is no UTF-8 text, so that no export can hold it.
    """
    vkeys = list(source.vkeys)
    vkey = None if not vkeys else vkeys[0] if len(vkeys) == 1 else vkeys
    yield written(ExportHead(FORMAT, ledger, size, vkey, without_bodies))
    for item in read(source.entries()):
        yield written(EntryLine(_text(item)))
    if not without_bodies:
        for body in read(source.bodies()):
            if isinstance(body, SourceFault):
                continue
            commit, media_type, salt, data = body
            if data is not None:
                yield written(body_line(commit, media_type, salt, data))
    for note in notes:
        yield written(CheckpointLine(note))


class ExportSource(Source):
    """An export as a source for ``verify``.

    Args:
        export: the whole text, or its lines. Lines that can be iterated more than once are read once for each
            kind of content and never held together; an iterator's are held.
    """

    def __init__(self, export: str | bytes | Iterable[str | bytes]) -> None:
        if isinstance(export, str):
            export = export.encode("utf-8", "surrogatepass")
        if isinstance(export, bytes):
            export = export.removesuffix(b"\n").split(b"\n") if export else []
        self._lines: Iterable[str | bytes] = list(export) if isinstance(export, Iterator) else export
        self._head: ExportHead | None = None
        for _, line in self._parsed():
            self._head = line if isinstance(line, ExportHead) else None
            break

    @property
    def ledger_id(self) -> str | None:
        """The ledger id of the head line."""
        return self._head.ledger if self._head else None

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The verifier keys of the head line, oldest first."""
        vkey = self._head.vkey if self._head else None
        return () if vkey is None else (vkey,) if isinstance(vkey, str) else tuple(vkey)

    @property
    def claimed_size(self) -> int | None:
        """The number of entries the head line states."""
        return self._head.size if self._head else None

    @property
    def without_bodies(self) -> bool:
        """Whether the head line says that bodies were left out."""
        return self._head is not None and self._head.without_bodies

    def entries(self) -> Iterator[RawEntry | SourceFault]:
        """Yield entry lines by their order, and a fault for every line that has no business where it stands."""
        position, stage = 0, 0
        if self._head is None:
            yield SourceFault(None, "the first line is not the head of an export")
        elif self._head.format != FORMAT:
            yield SourceFault(None, f"the head says format {self._head.format[:50]!a}, expected {FORMAT}")
        for number, line in self._parsed():
            if isinstance(line, SourceFault):
                # Among the entries, a broken line stands where an entry stood.
                yield SourceFault(position if stage <= 1 and number > 1 else None, line.why)
                position += stage <= 1 and number > 1
                continue
            rank = _ORDER.index(type(line))
            if rank < stage or (rank == 0 and number > 1):
                yield SourceFault(None, f"line {number}: {_name(line)} line after {_name_of(stage)} lines")
            stage = rank
            if isinstance(line, EntryLine):
                yield position, line.bytes.encode()
                position += 1

    def bodies(self) -> Iterator[RawBody | SourceFault]:
        """Yield body lines."""
        for number, line in self._parsed():
            if isinstance(line, BodyLine):
                yield raw_body(number, line)

    def notes(self) -> Iterator[str | SourceFault]:
        """Yield the notes of checkpoint lines."""
        for _, line in self._parsed():
            if isinstance(line, CheckpointLine):
                yield line.note

    def _parsed(self) -> Iterator[tuple[int, _Line | SourceFault]]:
        """Yield (line number from 1, line)."""
        for number, raw in numbered(self._lines):
            yield number, read_line(_DECODER, number, raw) if raw else SourceFault(None, f"line {number}: empty")


def _text(item: RawEntry | SourceFault) -> str:
    if isinstance(item, SourceFault):
        raise LedgerUnreadable(f"cannot export: entry {item.seq} cannot be read ({item.why}); run ledger verify")
    try:
        return item[1].decode()
    except UnicodeDecodeError:
        raise LedgerUnreadable(f"cannot export: entry {item[0]} is no UTF-8 text; run ledger verify") from None


def _name(line: _Line) -> str:
    return _name_of(_ORDER.index(type(line)))


def _name_of(rank: int) -> str:
    return ("head", "entry", "body", "checkpoint")[rank]
