"""Level 2: every body against its commitment, and the four states a cited body can be in.

Present and matching; redacted on record; missing without a record (a fault); present and not matching (a fault).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from forum_mcp.ledger.members import is_hash
from forum_mcp.ledger.verify.chain import Walked
from forum_mcp.ledger.verify.cited import Cited
from forum_mcp.ledger.verify.findings import Findings
from forum_mcp.ledger.verify.meeting import Judged, Meeting, judged
from forum_mcp.ledger.verify.source import Source, SourceFault, read

__all__ = ["BodyCheck", "check_bodies"]


@dataclass(slots=True)
class BodyCheck:
    """What the pass over the bodies leaves.

    Attributes:
        matching: bodies present and equal to their commitment.
        redacted: cited bodies that are absent and redacted on record.
        left_out: cited bodies that are absent because the source leaves bodies out.
        notes: commitment -> plain bytes, of the bodies that entries name as signed checkpoints.
    """

    matching: int = 0
    redacted: int = 0
    left_out: int = 0
    notes: dict[str, bytes] = field(default_factory=dict[str, bytes])


def check_bodies(source: Source, walked: Walked, findings: Findings, meeting: Meeting | None = None) -> BodyCheck:
    """Check every body present, every body cited, every redaction and the dedup index.

    ``meeting``: the bodies that ``walk`` has met already.
    """
    result = BodyCheck(matching=meeting.matching if meeting else 0)
    for item in _all_judged(source, walked, result) if meeting is None else meeting.rest():
        if isinstance(item, SourceFault):
            findings.unreadable(item)
        else:
            result.matching += _check_present(item, walked, findings)
    if meeting is not None:
        _find_notes(source, walked, result)
    for commit, seq in walked.cited.unmet():
        met = None if meeting is None else _met_before(source, commit)
        if met is not None:
            _check_again(met, walked, findings)
        elif commit in walked.redacted:
            result.redacted += 1
        elif source.without_bodies:
            result.left_out += 1
        else:
            findings.add("body-missing", seq, "the body, or a body.redacted entry", "neither", body=commit)
    for commit, seq in walked.redacted.items():
        if walked.cited.cites(commit):
            continue
        if meeting is not None and _met_before(source, commit) is not None:
            _still_there(commit, None, walked, findings)
        else:
            findings.add("body-ref", seq, "the commitment of a cited body", "no entry cites it", body=commit)
    for fault in source.index_faults():
        if isinstance(fault, SourceFault):
            findings.add("body-ref", None, "indexes that lead to every body", fault.why)
        else:
            findings.add("body-ref", None, "one row in the dedup index", "none, several or a wrong one", body=fault)
    return result


def _all_judged(source: Source, walked: Walked, result: BodyCheck) -> Iterator[Judged | SourceFault]:
    wanted = {signed.commit for signed in walked.signed}
    for item in read(source.bodies()):
        if isinstance(item, SourceFault):
            yield item
            continue
        body = judged(item)
        if body.commit in wanted and body.matches and item[3] is not None:
            result.notes[body.commit] = item[3]
        yield body


def _find_notes(source: Source, walked: Walked, result: BodyCheck) -> None:
    for signed in walked.signed:
        found = source.find(signed.commit)
        if found is not None and found[3] is not None and judged(found).matches:
            result.notes[signed.commit] = found[3]


def _met_before(source: Source, commit: str) -> Judged | None:
    """Return a body that was met by an earlier reference: it is there, and nothing was wrong with it then."""
    found = source.find(commit)
    return None if found is None else judged(found)


def _check_again(body: Judged, walked: Walked, findings: Findings) -> None:
    """Check the further references to a body that was met."""
    references, _ = walked.cited.meet(bytes.fromhex(body.commit))
    if body.commit in walked.redacted:
        _still_there(body.commit, references[0].seq, walked, findings)
    _as_cited(body, references, findings)


def _check_present(body: Judged, walked: Walked, findings: Findings) -> bool:
    """Check one body that is there; return whether it is the one its commitment promises."""
    commit = body.commit
    if not is_hash(commit):
        findings.add("body-mismatch", None, "a commitment of 64 lower-case hex", ascii(commit)[:100])
        return False
    key = bytes.fromhex(commit)
    if (
        body.size is not None
        and body.matches
        and commit not in walked.redacted
        and walked.cited.meet_alone(key, body.size, body.type)
    ):
        return True
    references, before = walked.cited.meet(key)
    seq = references[0].seq if references else None
    if commit in walked.redacted:
        _still_there(commit, seq, walked, findings)
    elif not references or before:
        expected = "one body" if before else "a body that an entry cites"
        found = "a second one" if before else "no entry cites it"
        findings.add("body-unreferenced", seq, expected, found, body=commit)
    if body.size is None:
        findings.add("body-mismatch", seq, "bytes that can be unpacked", "they cannot", body=commit)
        return False
    if not body.matches:
        found = body.computed or f"a salt of {body.salt_bytes} bytes, type {body.type[:100]!a}"
        findings.add("body-mismatch", seq, commit, found, body=commit)
        return False
    return _as_cited(body, references, findings)


def _still_there(commit: str, seq: int | None, walked: Walked, findings: Findings) -> None:
    expected = f"no body: entry {walked.redacted[commit]} redacted it"
    findings.add("body-redacted-but-present", seq, expected, "a body", body=commit)


def _as_cited(body: Judged, references: list[Cited], findings: Findings) -> bool:
    """Compare size and type with what each citing entry states."""
    agree = True
    for cited in references:
        if (cited.size, cited.type) != (body.size, body.type):
            expected = f"{cited.size} bytes of {cited.type[:100]}, as entry {cited.seq} says"
            found = f"{body.size} bytes of {body.type[:100]}"
            findings.add("body-mismatch", cited.seq, expected, found, body=body.commit)
            agree = False
    return agree
