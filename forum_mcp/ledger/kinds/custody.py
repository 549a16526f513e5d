"""Entries about the ledger itself: opening, checkpoints, keys, redaction."""

from forum_mcp.ledger.kinds.base import Kind, Payload

__all__ = [
    "KINDS",
    "BodyRedacted",
    "CheckpointAnchored",
    "CheckpointCosigned",
    "CheckpointSigned",
    "KeyRotated",
    "LedgerImported",
    "LedgerMigrated",
    "LedgerOpened",
    "LedgerRecovered",
]


class LedgerOpened(Payload, frozen=True, kw_only=True):
    """Entry 0: the format, the verifier key (C2SP vkey) that signs this ledger's checkpoints, and what made it."""

    format: int
    vkey: str
    software: str


class LedgerRecovered(Payload, frozen=True, kw_only=True):
    """Something was put right; ``reason`` is a kebab word.

    ``rollback-accepted``: the key had signed a tree of ``signed_size`` entries with ``signed_root`` (hex), of which
    this ledger is no continuation; the body ``reason`` says in words why it goes on all the same. Both are left out
    when what was signed could not be read any more.
    """

    reason: str
    signed_size: int | None = None
    signed_root: str | None = None


class LedgerImported(Payload, frozen=True, kw_only=True):
    """A ledger of another kind was taken over: all of it (``entries``), then each entry by its ``place`` from 0.

    ``entry_hash`` and ``payload_hash`` are what the original states of itself; for the whole, that of its last entry.
    ``faults``: what its own rules found. The original's time is in the body ``entry``, as it was written.
    """

    format: str
    entries: int | None = None
    faults: int | None = None
    place: int | None = None
    entry_hash: str | None = None
    payload_hash: str | None = None


class LedgerMigrated(Payload, frozen=True, kw_only=True):
    """The file's tables were brought from version ``before`` to ``tables``; no entry and no body was changed."""

    before: int
    tables: int


class CheckpointSigned(Payload, frozen=True, kw_only=True):
    """A signed note over the first ``size`` entries, kept as the body ``note``."""

    size: int


class CheckpointCosigned(Payload, frozen=True, kw_only=True):
    """A note over the first ``size`` entries came back with signatures of ``witnesses``, each verified."""

    size: int
    witnesses: list[str]


class CheckpointAnchored(Payload, frozen=True, kw_only=True):
    """The checkpoint over ``size`` entries (body ``note``) was written to ``where``, ``by`` file, git or command."""

    size: int
    by: str
    where: str


class KeyRotated(Payload, frozen=True, kw_only=True):
    """Checkpoints from here on are signed by ``vkey``."""

    vkey: str


class BodyRedacted(Payload, frozen=True, kw_only=True):
    """The body of ``commit`` and its salt were deleted on purpose."""

    commit: str


KINDS = (
    Kind("ledger.opened", "custody", LedgerOpened, (), "none"),
    Kind("ledger.recovered", "custody", LedgerRecovered, ("reason",), "none"),
    Kind(
        "ledger.imported",
        "custody",
        LedgerImported,
        ("entry", "payload", "faults"),
        "the entry for the whole; that of the original's causal parent",
    ),
    Kind("ledger.migrated", "custody", LedgerMigrated, (), "none"),
    Kind("checkpoint.signed", "custody", CheckpointSigned, ("note",), "the entry that asked for it"),
    Kind("checkpoint.cosigned", "custody", CheckpointCosigned, ("note",), "none"),
    Kind("checkpoint.anchored", "custody", CheckpointAnchored, ("note",), "none"),
    Kind("key.rotated", "custody", KeyRotated, (), "none"),
    Kind("body.redacted", "custody", BodyRedacted, ("reason",), "entries that cite the body"),
)
