"""Making a new ledger: its id and key first, then the file, complete with the entry 0 that names the key."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from forum_mcp import __version__
from forum_mcp.errors import LedgerUnreadable
from forum_mcp.ledger.entry import Draft, LedgerId
from forum_mcp.ledger.note import Signer
from forum_mcp.stores.files import refuse_network
from forum_mcp.stores.keys import KeyFile, new_signer
from forum_mcp.stores.sqlite import SqliteStore

__all__ = ["create_file", "create_in_memory"]

_FORMAT: Final = 1
_ID_BYTES: Final = 16


def create_in_memory(entropy: Callable[[int], bytes], now_us: Callable[[], int]) -> tuple[SqliteStore, Signer]:
    """Return a new ledger in memory, and its key, which is kept nowhere else."""
    ledger = _new_id(entropy)
    signer = new_signer(ledger, entropy)
    return SqliteStore.memory(ledger, _genesis(signer), entropy=entropy, now_us=now_us), signer


def create_file(file: Path, keys: KeyFile, entropy: Callable[[int], bytes], now_us: Callable[[], int]) -> SqliteStore:
    """Make the ledger of a file and open it; when another process made it first, open that one.

    Raises:
        LedgerUnreadable: the place cannot hold a ledger.
    """
    refuse_network(file)
    ledger = _new_id(entropy)
    try:
        signer = keys.create(ledger, entropy)
    except OSError as error:
        raise LedgerUnreadable(
            f"no ledger can be made at '{file.name}', its key cannot be kept ({error.strerror or 'there is one'}); "
            "expected a directory of yours: name another path with --ledger"
        ) from error
    try:
        store = SqliteStore.create(file, ledger, _genesis(signer), entropy=entropy, now_us=now_us)
    except BaseException:
        keys.forget(ledger)
        raise
    if store is None:
        keys.forget(ledger)
        return SqliteStore.open(file, entropy=entropy)
    return store


def _new_id(entropy: Callable[[int], bytes]) -> LedgerId:
    return LedgerId(entropy(_ID_BYTES).hex())


def _genesis(signer: Signer) -> Draft:
    facts = {"format": _FORMAT, "software": f"forum-mcp {__version__}", "vkey": signer.vkey}
    return Draft("ledger.opened", "engine", facts)
