"""An export opened in place of a ledger: its store, and a signer that never signs."""

from pathlib import Path

from forum_mcp.engine.signing import Signing
from forum_mcp.errors import LedgerReadOnly
from forum_mcp.ledger.note import Signer
from forum_mcp.stores.export_file import ExportStore

__all__ = ["ExportSigning", "open_export"]


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


def open_export(path: Path) -> tuple[ExportStore, ExportSigning]:
    """Return the store of an export and its signer.

    Raises:
        LedgerUnreadable: not an export, or not even its first entry can be read.
    """
    store = ExportStore.open(path)
    return store, ExportSigning(store)


def _no_key() -> Signer:
    raise LedgerReadOnly("no checkpoint can be signed: an export is a copy; sign where the ledger itself is")
