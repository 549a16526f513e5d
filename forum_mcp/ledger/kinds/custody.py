"""Entries about the ledger itself: opening, checkpoints, keys, redaction."""

from forum_mcp.ledger.kinds.base import Kind, Payload

__all__ = ["KINDS", "BodyRedacted", "CheckpointSigned", "KeyRotated", "LedgerOpened", "LedgerRecovered"]


class LedgerOpened(Payload, frozen=True, kw_only=True):
    """Entry 0: the format, the verifier key (C2SP vkey) that signs this ledger's checkpoints, and what made it."""

    format: int
    vkey: str
    software: str


class LedgerRecovered(Payload, frozen=True, kw_only=True):
    """Opening found something to put right; ``reason`` is a kebab word."""

    reason: str


class CheckpointSigned(Payload, frozen=True, kw_only=True):
    """A signed note over the first ``size`` entries, kept as the body ``note``."""

    size: int


class KeyRotated(Payload, frozen=True, kw_only=True):
    """Checkpoints from here on are signed by ``vkey``."""

    vkey: str


class BodyRedacted(Payload, frozen=True, kw_only=True):
    """The body of ``commit`` and its salt were deleted on purpose."""

    commit: str


KINDS = (
    Kind("ledger.opened", "custody", LedgerOpened, (), "none"),
    Kind("ledger.recovered", "custody", LedgerRecovered, (), "none"),
    Kind("checkpoint.signed", "custody", CheckpointSigned, ("note",), "the entry that asked for it"),
    Kind("key.rotated", "custody", KeyRotated, (), "none"),
    Kind("body.redacted", "custody", BodyRedacted, ("reason",), "entries that cite the body"),
)
