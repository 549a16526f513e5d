"""Verification: all that a container holds is read again and recomputed.

Bad data is a finding, never an exception; every check of a level is made, none is skipped for speed. Level 1 is the
chain and the tree, level 2 adds the bodies, level 3 the checkpoints; level 4 (decisions) is added where the rules
are, by ``Report.deepened``.
"""

from collections.abc import Callable, Sequence

from forum_mcp.ledger.finding import Finding, Report
from forum_mcp.ledger.verify.bodies import BodyCheck, check_bodies
from forum_mcp.ledger.verify.chain import Walked, walk
from forum_mcp.ledger.verify.checkpoints import CheckpointCheck, check_checkpoints, sizes_of
from forum_mcp.ledger.verify.findings import Findings
from forum_mcp.ledger.verify.meeting import Meeting
from forum_mcp.ledger.verify.source import RawBody, RawEntry, Source, SourceFault, read
from forum_mcp.ledger.verify.statements import state
from forum_mcp.ledger.verify.witnesses import Witnesses

__all__ = ["Finding", "RawBody", "RawEntry", "Report", "Source", "SourceFault", "verify"]


def verify(
    source: Source,
    *,
    level: int = 3,
    checkpoints: Sequence[str] | str = (),
    vkeys: Sequence[str] | str = (),
    witnesses: Sequence[str] = (),
    on_progress: Callable[[int], None] | None = None,
) -> Report:
    """Verify everything ``source`` holds, up to ``level``.

    Args:
        source: the container; its entries are read once, and again only to reach the root of a checkpoint that no
            entry announced.
        level: 1 chain, 2 bodies, 3 checkpoints.
        checkpoints: signed notes the caller kept from earlier; what they cover cannot be dropped or rewritten.
        vkeys: verifier keys the caller has from elsewhere; the record's own must be among them.
        witnesses: verifier keys of third parties; their signatures on checkpoints are checked (level 3).
        on_progress: told time and again how many entries have been checked.

    Raises:
        ValueError: the level is not 1, 2 or 3.
    """
    if level not in (1, 2, 3):
        raise ValueError(f"verification level {level!r} is refused: expected 1, 2 or 3")
    given = [checkpoints] if isinstance(checkpoints, str) else list(checkpoints)
    trusted = [vkeys] if isinstance(vkeys, str) else list(vkeys)
    findings = Findings()
    third = Witnesses(witnesses if level >= 3 else (), findings)
    meeting = Meeting(source) if level >= 2 and source.finds_bodies else None
    walked = walk(source, findings, sizes_of(given) if level >= 3 else set(), meeting, on_progress)
    nodes = walked.nodes if source.stores_nodes else None
    for fault in read(source.faults()):
        findings.add("tree-node", fault.seq, "a container that agrees with its entries", fault.why)
    bodies = check_bodies(source, walked, findings, meeting) if level >= 2 else None
    heads: CheckpointCheck | None = None
    if bodies is not None and level >= 3:
        heads = check_checkpoints(source, walked, bodies.notes, given, trusted, findings, third)
    statements = state(walked, nodes, bodies, heads, findings, trusted=bool(trusted), given=len(given))
    return Report(
        level=level,
        ledger=walked.ledger,
        size=walked.size,
        root=walked.root,
        findings=tuple(findings.kept),
        total=findings.total,
        counts=_counts(walked, nodes, bodies, heads) | ({"witnesses": third.count} if witnesses else {}),
        holds=(*statements.holds, *third.holds()),
        not_protected=(*statements.not_protected, *third.lacks()),
        newest_checkpoint=heads.newest if heads else None,
    )


def _counts(
    walked: Walked, nodes: int | None, bodies: BodyCheck | None, heads: CheckpointCheck | None
) -> dict[str, int]:
    counts = {"entries": walked.size}
    if nodes is not None:
        counts["nodes"] = nodes
    if bodies is not None:
        counts |= {"bodies": bodies.matching, "redacted": bodies.redacted, "left_out": bodies.left_out}
    if heads is not None:
        counts["checkpoints"] = heads.agreeing
    return counts
