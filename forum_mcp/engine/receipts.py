"""Proofs and receipts: made from the stored nodes of an open ledger, O(log n) reads an entry, and verified offline."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from forum_mcp.engine.verifying import verify_view
from forum_mcp.engine.views import VerifyView
from forum_mcp.errors import LedgerUnreadable, NotFound, RequestRefused
from forum_mcp.ledger import growth, receipt
from forum_mcp.ledger import note as notes
from forum_mcp.ledger.checkpoint import Checkpoint
from forum_mcp.ledger.checkpoint import parse as parse_checkpoint
from forum_mcp.ledger.entry import Body, RunId
from forum_mcp.ledger.merkle import consistency_proof, inclusion_proof, root_from_nodes
from forum_mcp.ledger.proof import format_growth, format_inclusion
from forum_mcp.stores.base import Store, Stored

__all__ = ["growth_proof", "proof_of", "receipt_of", "run_seqs", "verifier_keys", "verify_growth", "verify_receipt"]

_GROWTH_MAX_BYTES: Final = 1_000_000


def proof_of(store: Store, seq: int, newest: str | None) -> str:
    """Return the C2SP tlog-proof of an entry under the signed note ``newest``.

    Raises:
        NotFound: no such entry.
        RequestRefused: no checkpoint covers it, and without the key none can be signed.
    """
    head, text = _covering(store, seq, newest)
    return format_inclusion(seq, inclusion_proof(seq, head.size, store.node), text)


def growth_proof(store: Store, since: str, newest: str | None) -> str:
    """Return the proof that the tree of the signed note ``newest`` extends the one of the kept note ``since``.

    Raises:
        NoteError: ``since`` is not a checkpoint, or one of another ledger.
        RequestRefused: the ledger did not only grow since, or there is no such proof (from size 0).
    """
    old = parse_checkpoint(notes.parse(since).text)
    head, text = _newest(newest)
    if old.origin != head.origin:
        raise RequestRefused(
            f"the kept checkpoint is of {old.origin[:80]!r}, this ledger is {head.origin!r}; give one of this ledger"
        )
    if old.size > head.size or root_from_nodes(old.size, store.node) != old.root:
        raise RequestRefused(
            f"no proof exists: the ledger does not extend the kept checkpoint of size {old.size}; "
            "run ledger verify --since with it"
        )
    try:
        return format_growth(old.size, consistency_proof(old.size, head.size, store.node), text)
    except ValueError as error:
        raise RequestRefused(f"{error}; every ledger extends the empty one") from error


def receipt_of(
    store: Store, seqs: Sequence[int], newest: str | None, *, vkeys: Sequence[str], bodies: bool
) -> Iterator[bytes]:
    """Yield the lines of a receipt for the entries ``seqs``, each once and ascending, under one signed note.

    Hold a snapshot of the store until the last line was taken.

    Raises:
        NotFound: no such entry.
        RequestRefused: no entry was named, or no checkpoint covers one.
    """
    wanted = sorted(set(seqs))
    if not wanted:
        raise RequestRefused("a receipt of no entry is refused; name at least one seq")
    head, text = _covering(store, wanted[-1], newest)

    def items() -> Iterator[receipt.Proven]:
        for seq in wanted:
            stored = store.entry(seq)
            proof = format_inclusion(seq, inclusion_proof(seq, head.size, store.node), text)
            yield receipt.Proven(stored.raw, proof, _bodies(store, stored) if bodies else ())

    yield from receipt.write(items(), ledger=store.ledger_id, vkeys=vkeys)


def run_seqs(store: Store, run_id: str) -> list[int]:
    """Return the seqs of a run's entries, ascending.

    Raises:
        NotFound: no such run.
    """
    seqs = [stored.entry.seq for stored in store.run_entries(RunId(run_id))]
    if not seqs:
        raise NotFound(f"no run {run_id[:64]!a} in this ledger; list them with: forum-mcp run list")
    return seqs


def verifier_keys(store: Store) -> list[str]:
    """Return the ledger's verifier keys: that of entry 0, and the one in force when it is another."""
    rotated = store.newest_of_kind("key.rotated")
    named = [stored.entry.data.get("vkey") for stored in (store.entry(0), rotated) if stored is not None]
    return list(dict.fromkeys(vkey for vkey in named if isinstance(vkey, str)))


def verify_receipt(
    path: str | Path,
    level: int = 3,
    checkpoint: str | Sequence[str] | None = None,
    *,
    vkeys: Sequence[str] = (),
    witnesses: Sequence[str] = (),
) -> VerifyView:
    """Verify a receipt file; no ledger is needed and none is opened.

    Args:
        path: the file.
        level: 1 entries, 2 and bodies, 3 and proofs with their checkpoints.
        checkpoint: signed notes kept from earlier, one or several.
        vkeys: verifier keys the caller has from elsewhere.
        witnesses: verifier keys of third parties; their signatures are checked.

    Raises:
        LedgerUnreadable: the file cannot be read.
        RequestRefused: no such level.
    """
    if not 1 <= level <= 3:
        raise RequestRefused(f"level {level} is refused for a receipt: expected 1 entries, 2 bodies or 3 proofs")
    given = () if checkpoint is None else checkpoint
    try:
        with Path(path).expanduser().open("rb") as lines:
            report = receipt.verify(lines, level=level, checkpoints=given, vkeys=vkeys, witnesses=witnesses)
    except OSError as error:
        raise LedgerUnreadable(
            f"receipt {path} cannot be read; {error.strerror}; give the file of a receipt"
        ) from error
    return verify_view(report, report.newest_checkpoint)


def verify_growth(
    path: str | Path, since: str, *, vkeys: Sequence[str] = (), witnesses: Sequence[str] = ()
) -> VerifyView:
    """Verify the file of a growth proof against the checkpoint ``since`` that was kept; no ledger is needed.

    Raises:
        LedgerUnreadable: the file cannot be read.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            raw = file.read(_GROWTH_MAX_BYTES)
    except OSError as error:
        raise LedgerUnreadable(
            f"growth proof {path} cannot be read; {error.strerror}; give the file that ledger prove --since wrote"
        ) from error
    report = growth.verify(raw.decode("utf-8", "replace"), since, vkeys=vkeys, witnesses=witnesses)
    return verify_view(report, report.newest_checkpoint)


def _newest(newest: str | None) -> tuple[Checkpoint, str]:
    if newest is None:
        raise RequestRefused(
            "nothing can be proven: the signing key is missing and no checkpoint is on record; "
            "put the key file back beside the ledger"
        )
    return parse_checkpoint(notes.parse(newest).text), newest


def _covering(store: Store, seq: int, newest: str | None) -> tuple[Checkpoint, str]:
    """Return the note that covers entry ``seq``."""
    size = store.size()
    if not 0 <= seq < size:
        raise NotFound(f"no entry {seq} in this ledger, expected 0 to {size - 1}")
    head, text = _newest(newest)
    if seq >= head.size:
        raise RequestRefused(
            f"entry {seq} cannot be proven: the newest checkpoint covers {head.size} entries and the signing key is "
            "missing; put the key file back beside the ledger"
        )
    return head, text


def _bodies(store: Store, stored: Stored) -> list[Body]:
    commits = dict.fromkeys(ref.commit for _, ref in sorted(stored.entry.bodies.items()))
    return [body for commit in commits if (body := store.body(commit)) is not None]
