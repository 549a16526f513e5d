"""Level 2: every body against its commitment, and the four states a cited body can be in.

Present and matching; redacted on record; missing without a record (a fault); present and not matching (a fault).
"""

from dataclasses import dataclass, field

from forum_mcp.ledger.entry import commitment
from forum_mcp.ledger.members import is_hash
from forum_mcp.ledger.verify.chain import Walked
from forum_mcp.ledger.verify.cited import Cited
from forum_mcp.ledger.verify.findings import Findings, read
from forum_mcp.ledger.verify.source import RawBody, Source, SourceFault

__all__ = ["BodyCheck", "check_bodies"]

_SALT_BYTES = 32


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


def check_bodies(source: Source, walked: Walked, findings: Findings) -> BodyCheck:
    """Check every body present, every body cited, every redaction and the dedup index."""
    result = BodyCheck()
    wanted = {signed.commit for signed in walked.signed}
    for item in read(source.bodies()):
        if isinstance(item, SourceFault):
            findings.unreadable(item)
            continue
        if _check_present(item, walked, findings):
            result.matching += 1
            if item[0] in wanted and item[3] is not None:
                result.notes[item[0]] = item[3]
    for commit, seq in walked.cited.unmet():
        if commit in walked.redacted:
            result.redacted += 1
        elif source.without_bodies:
            result.left_out += 1
        else:
            findings.add("body-missing", seq, "the body, or a body.redacted entry", "neither", body=commit)
    for commit, seq in walked.redacted.items():
        if not walked.cited.cites(commit):
            findings.add("body-ref", seq, "the commitment of a cited body", "no entry cites it", body=commit)
    for commit in source.index_faults():
        findings.add("body-ref", None, "one row in the dedup index", "none, several or a wrong one", body=commit)
    return result


def _check_present(item: RawBody, walked: Walked, findings: Findings) -> bool:
    """Check one body that is there; return whether it is the one its commitment promises."""
    commit, media_type, salt, data = item
    if not is_hash(commit):
        findings.add("body-mismatch", None, "a commitment of 64 lower-case hex", ascii(commit)[:100])
        return False
    recomputed: str | None = None
    if data is not None and _fit(media_type) and len(salt) == _SALT_BYTES:
        recomputed = commitment(salt, media_type, data)
    key = bytes.fromhex(commit)
    if (
        data is not None
        and recomputed == commit
        and commit not in walked.redacted
        and walked.cited.meet_alone(key, len(data), media_type)
    ):
        return True
    references, before = walked.cited.meet(key)
    seq = references[0].seq if references else None
    if commit in walked.redacted:
        expected = f"no body: entry {walked.redacted[commit]} redacted it"
        findings.add("body-redacted-but-present", seq, expected, "a body", body=commit)
    elif not references or before:
        expected = "one body" if before else "a body that an entry cites"
        found = "a second one" if before else "no entry cites it"
        findings.add("body-unreferenced", seq, expected, found, body=commit)
    if data is None:
        findings.add("body-mismatch", seq, "bytes that can be unpacked", "they cannot", body=commit)
        return False
    if recomputed != commit:
        found = recomputed or f"a salt of {len(salt)} bytes, type {media_type[:100]!a}"
        findings.add("body-mismatch", seq, commit, found, body=commit)
        return False
    return _as_cited(commit, media_type, len(data), references, findings)


def _as_cited(commit: str, media_type: str, size: int, references: list[Cited], findings: Findings) -> bool:
    """Compare size and type with what each citing entry states."""
    agree = True
    for cited in references:
        if (cited.size, cited.type) != (size, media_type):
            expected = f"{cited.size} bytes of {cited.type[:100]}, as entry {cited.seq} says"
            findings.add("body-mismatch", cited.seq, expected, f"{size} bytes of {media_type[:100]}", body=commit)
            agree = False
    return agree


def _fit(media_type: str) -> bool:
    """State whether the type can be hashed: a damaged row may hold any text."""
    return media_type.isascii()
