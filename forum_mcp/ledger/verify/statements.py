"""What a verification shows, and what it cannot: sentences for the reader of a report."""

from dataclasses import dataclass

from forum_mcp.ledger.finding import Code
from forum_mcp.ledger.verify.bodies import BodyCheck
from forum_mcp.ledger.verify.chain import Walked
from forum_mcp.ledger.verify.checkpoints import CheckpointCheck
from forum_mcp.ledger.verify.findings import Findings

__all__ = ["Statements", "state"]

_CHAIN: tuple[Code, ...] = (
    "unreadable",
    "too-large",
    "not-canonical",
    "member",
    "version",
    "seq",
    "prev",
    "parents",
    "other-ledger",
    "tree-node",
    "size",
)
_BODIES: tuple[Code, ...] = (
    "body-ref",
    "body-missing",
    "body-mismatch",
    "body-redacted-but-present",
    "body-unreferenced",
)
_CHECKPOINTS: tuple[Code, ...] = (
    "vkey",
    "checkpoint-format",
    "checkpoint-origin",
    "checkpoint-signature",
    "checkpoint-beyond-tail",
    "checkpoint-root",
)


@dataclass(frozen=True, slots=True)
class Statements:
    """Sentences on what was shown true, and on what was not."""

    holds: tuple[str, ...]
    not_protected: tuple[str, ...]


def state(
    walked: Walked,
    nodes: int | None,
    bodies: BodyCheck | None,
    heads: CheckpointCheck | None,
    findings: Findings,
    *,
    trusted: bool,
    given: int,
) -> Statements:
    """Put the outcome of every level into words.

    Args:
        walked: level 1.
        nodes: stored nodes compared, None when the container stores none.
        bodies: level 2, None when not checked.
        heads: level 3, None when not checked.
        findings: everything found.
        trusted: the caller gave a verifier key of its own.
        given: how many checkpoints the caller gave.
    """
    holds: list[str] = []
    missing: list[str] = []
    if not findings.any_of(*_CHAIN):
        holds.append(f"chain: {walked.size} entries, canonical and linked without a gap")
        if nodes is not None:
            holds.append(f"tree: {nodes} stored nodes are those the entries give")
    _state_bodies(bodies, findings, holds, missing)
    _state_checkpoints(heads, findings, holds, missing, trusted=trusted)
    _state_tail(walked, heads, holds, missing, given=given)
    missing.append("content: integrity is not truth; that an entry is unchanged does not make it right")
    missing.append("completeness: what was never recorded cannot be found here")
    return Statements(tuple(holds), tuple(missing))


def _state_bodies(bodies: BodyCheck | None, findings: Findings, holds: list[str], missing: list[str]) -> None:
    if bodies is None:
        missing.append("bodies: not checked at this level")
        return
    if not findings.any_of(*_BODIES):
        holds.append(f"bodies: {bodies.matching} match their commitments, {bodies.redacted} redacted on record")
    if bodies.left_out:
        missing.append(f"bodies: {bodies.left_out} were left out on purpose and not checked")
    if bodies.redacted:
        missing.append(f"redacted: the words of {bodies.redacted} bodies are gone, only their commitments are checked")


def _state_checkpoints(
    heads: CheckpointCheck | None, findings: Findings, holds: list[str], missing: list[str], *, trusted: bool
) -> None:
    if heads is None:
        missing.append("checkpoints: not checked at this level")
        return
    if heads.agreeing and not heads.signed_by_known_key:
        missing.append("signatures: not checked, no verifier key is known")
    elif heads.agreeing and not trusted:
        missing.append("signer: the verifier key came with the record; compare it with one from its owner")
    if heads.agreeing and not findings.any_of(*_CHECKPOINTS):
        signed = "signed and " if heads.signed_by_known_key else ""
        holds.append(f"checkpoints: {heads.agreeing} are {signed}consistent with the record")


def _state_tail(
    walked: Walked, heads: CheckpointCheck | None, holds: list[str], missing: list[str], *, given: int
) -> None:
    covered = heads.covered if heads else None
    if covered is None:
        known = f"none of the {given} given agrees" if given and heads else "no checkpoint is known outside this file"
        missing.append(f"tail: not protected, {known}")
        return
    holds.append(f"tail: the first {covered} entries are those of a checkpoint kept outside this file")
    if covered < walked.size:
        later = walked.size - covered
        missing.append(f"tail: the newest {later} entries are not protected, no checkpoint kept elsewhere covers them")
