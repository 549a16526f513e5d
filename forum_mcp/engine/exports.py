"""An export opened in place of a ledger: its store, a signer that never signs; and what an export must carry."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from forum_mcp.engine.signing import Signing
from forum_mcp.errors import LedgerReadOnly
from forum_mcp.ledger import export
from forum_mcp.ledger.entry import decode
from forum_mcp.ledger.note import Signer
from forum_mcp.ledger.verify.source import SourceFault, read
from forum_mcp.stores.base import Store
from forum_mcp.stores.export_file import ExportStore
from forum_mcp.stores.sqlite import SqliteStore

__all__ = ["ExportSigning", "export_lines", "lines_ahead", "open_export", "rotation_notes"]

_ROTATED: Final = b'"kind":"key.rotated"'
_SIGNED: Final = b'"kind":"checkpoint.signed"'


class ExportSigning(Signing):
    """What an export says of its own head: the note it carries. A copy is never signed, whoever holds the key."""

    def __init__(self, store: ExportStore) -> None:
        super().__init__(store, _no_key)
        self._note = store.note

    def sign(self, size: int) -> str:
        """Return the note the export carries, when it is over exactly ``size`` entries.

        Raises:
            LedgerReadOnly: it carries none over them; nothing else can be had from a copy.
        """
        if self._note is not None and self._note.split("\n")[1:2] == [str(size)]:
            return self._note
        return super().sign(size)

    def head(self) -> str:
        """Return the note the export carries, when it is over all of its entries; see ``sign``."""
        return self.sign(self._store.size())

    def newest_note(self) -> str | None:
        """Return the note of the export's last line, as it stands there; else the newest one the record holds."""
        return self._note if self._note is not None else super().newest_note()


def export_lines(store: Store, vkey: str, newest: str | None, *, without_bodies: bool) -> Iterator[bytes]:
    """Yield the lines of a self-contained export, ended by the ``newest`` checkpoint.

    Raises:
        LedgerUnreadable: an entry cannot be read, so that no export can hold it.
    """
    notes = [*(rotation_notes(store) if without_bodies else ()), *([] if newest is None else [newest])]
    with store.source(vkeys=[vkey]) as source:
        size = sum(not isinstance(item, SourceFault) for item in read(source.entries()))
        yield from export.write(source, ledger=store.ledger_id, size=size, notes=notes, without_bodies=without_bodies)


def lines_ahead(store: Store, *, without_bodies: bool) -> int:
    """Return how many lines an export will have, about; 0: nobody knows."""
    if without_bodies:
        return store.size()
    return store.size() + store.body_count() if isinstance(store, SqliteStore) else 0


def open_export(path: Path) -> tuple[ExportStore, ExportSigning]:
    """Return the store of an export and its signer.

    Raises:
        LedgerUnreadable: not an export, or not even its first entry can be read.
    """
    store = ExportStore.open(path)
    return store, ExportSigning(store)


def rotation_notes(store: Store) -> list[str]:
    """Return the checkpoints that vouch for rotated keys, oldest first: an export without bodies would lack them."""
    notes: list[str] = []
    rotated = False
    for _, raw in store.raw_entries():
        if _ROTATED in raw:
            rotated = True
        elif rotated and _SIGNED in raw:
            try:
                reference = decode(raw).bodies.get("note")
            except (msgspec.MsgspecError, ValueError, RecursionError):
                continue  # verification says what is wrong with it
            body = None if reference is None else store.body(reference.commit)
            if body is not None:
                notes.append(body.data.decode("utf-8", "replace"))
                rotated = False
    return notes


def _no_key() -> Signer:
    raise LedgerReadOnly("no checkpoint can be signed: an export is a copy; sign where the ledger itself is")
