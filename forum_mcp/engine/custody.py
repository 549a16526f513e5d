"""Keys, rollbacks and copies of an open ledger: what its owner does with it, each step on record.

Every step can be cut short by a kill and done again: what it needs is durable before the record names it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.reading import entry_view
from forum_mcp.engine.verifying import verify_path
from forum_mcp.engine.views import EntryView, VerifyView, View
from forum_mcp.errors import (
    CheckpointRefused,
    LedgerError,
    LedgerReadOnly,
    LedgerUnreadable,
    RequestRefused,
)
from forum_mcp.ledger.entry import Draft, NewBody
from forum_mcp.stores.base import Stored, Transaction
from forum_mcp.stores.sqlite import SqliteStore

__all__ = ["KeyView", "accept_rollback", "backup", "checked_reason", "growth", "key", "restore", "rotate_key"]

_TEXT: Final = "text/plain; charset=utf-8"
_REASON_MAX: Final = 10_000


class KeyView(View, frozen=True, kw_only=True):
    """The key of a ledger.

    Attributes:
        vkey: the verifier key in force, C2SP text.
        signs: whether a checkpoint can be signed here and now; ``why_not`` says what stands in the way.
        rotating: a rotation was cut short; the next recorded checkpoint ends it.
    """

    ledger: str
    vkey: str
    signs: bool
    why_not: str | None
    rotating: bool


def key(ledger: Ledger) -> KeyView:
    """Return the key in force and whether it can sign; signs to find out, appends nothing."""
    why_not: str | None = None
    rotating = False
    try:
        rotating = ledger.signing.signed().rotating
    except LedgerError as error:
        why_not = str(error)
    return KeyView(ledger=ledger.ledger_id, vkey=ledger.vkey, signs=why_not is None, why_not=why_not, rotating=rotating)


def rotate_key(ledger: Ledger, *, entropy: Callable[[int], bytes] = os.urandom) -> KeyView:
    """Give the ledger a new key: ``key.rotated``, a checkpoint by both keys, then the old key is deleted.

    After a kill in between, the next recorded checkpoint, or this again, ends it: both keys are on disk until then.

    Raises:
        LedgerReadOnly: the ledger, or the directory of its keys, cannot be written.
        CheckpointRefused, NoteError: nothing can be signed here, so that nobody could vouch for the new key.
    """
    if not ledger.signing.signed().rotating:
        before = ledger.vkey
        following = ledger.keys.stage(entropy).vkey

        def work(transaction: Transaction) -> Stored | None:
            # The write lock is held: whoever rotated at the same time used the same next key and is done.
            if ledger.vkey != before:
                return None
            draft = Draft("key.rotated", "engine", {"vkey": following})
            return transaction.append(draft, run=None, at_us=ledger.now_us())

        ledger.store.transact(work)
        ledger.signing.forget()
    if ledger.signing.signed().rotating:
        ledger.record_checkpoint()
    return key(ledger)


def accept_rollback(ledger: Ledger, reason: str, *, actor: str = "person:local") -> EntryView:
    """Record that the ledger goes on although it does not continue what was signed, and let signing go on.

    Raises:
        RequestRefused: no reason is given, or there is nothing to accept.
        LedgerReadOnly: the ledger cannot be written.
    """
    words = checked_reason(reason)
    data: dict[str, object] = {"reason": "rollback-accepted"}
    try:
        found = ledger.signing.abandoned()
    except CheckpointRefused:  # the memory is damaged: what it held cannot be said
        pass
    else:
        if found is None:
            raise RequestRefused("there is no rollback to accept; the ledger continues what was signed last; sign on")
        data |= {"signed_size": found[0].size, "signed_root": found[0].root.hex()}
    draft = Draft("ledger.recovered", actor, data, {"reason": words})
    stored = ledger.store.transact(lambda tx: tx.append(draft, run=None, at_us=ledger.now_us()))
    ledger.signing.accept()
    return entry_view(ledger.store, stored)


def checked_reason(reason: str) -> NewBody:
    """Return the reason as a body.

    Raises:
        RequestRefused: it is empty, too long or no text.
    """
    words = reason.strip()
    if not 1 <= len(words) <= _REASON_MAX:
        raise RequestRefused(f"a reason of {len(words)} characters is refused; expected 1 to {_REASON_MAX}; say why")
    try:
        return NewBody(_TEXT, words.encode())
    except UnicodeEncodeError as error:
        raise RequestRefused("the reason holds a lone surrogate; expected text that UTF-8 can carry") from error


def backup(ledger: Ledger, target: str | Path) -> Path:
    """Write a copy of the ledger as it is at one moment, while runs go on; return its path. The key is not in it.

    Raises:
        RequestRefused: the name is taken, or cannot be written.
        LedgerReadOnly: an export is a copy already.
    """
    file = Path(target).expanduser().absolute()
    store = ledger.store
    if not isinstance(store, SqliteStore):
        raise LedgerReadOnly("an export is not backed up: it is a copy; copy the file itself")
    try:
        store.backup(file)
    except FileExistsError as error:
        raise RequestRefused(f"'{file.name}' exists; a copy overwrites nothing; name another file") from error
    except OSError as error:
        raise RequestRefused(f"'{file.name}' cannot be written; {error.strerror}; name another place") from error
    return file


def growth(ledger: Ledger, warn_mb: int) -> str | None:
    """Return a warning when the files of a ledger are larger than ``warn_mb`` (10^6 bytes), else None; two looks."""
    path = ledger.store.path
    if path is None or warn_mb == 0:
        return None
    log = path.with_name(path.name + "-wal")
    size = sum(file.stat().st_size for file in (path, log) if file.exists())
    if size <= warn_mb * 1_000_000:
        return None
    return (
        f"the ledger has grown to {size // 1_000_000} MB, past the {warn_mb} MB of custody.warn_mb; bodies of old runs "
        "can go: forum-mcp ledger prune --older-than 90d"
    )


def restore(source: str | Path, target: str | Path) -> VerifyView:
    """Verify a backup (level 3) and write it to a new file; return what was verified.

    Raises:
        LedgerMissing: there is no such backup.
        LedgerUnreadable: it does not verify; nothing was written.
        RequestRefused: the new name is taken, or cannot be written.
    """
    file = Path(target).expanduser().absolute()
    view = verify_path(source)
    if not view.clean:
        first = view.findings[0]
        raise LedgerUnreadable(
            f"'{Path(source).name}' is not restored: it has {view.findings_total} findings, the first {first.code} "
            f"(expected {first.expected[:200]}, found {first.found[:200]}); restore another backup"
        )
    with Ledger.open(source, create=False, read_only=True, checkpoint_every=0) as old:
        backup(old, file)
    return view
