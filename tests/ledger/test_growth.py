"""A growth proof against the checkpoint that was kept: accepted when the ledger only grew, else precisely refused."""

from base64 import b64encode

from forum_mcp.ledger import growth, merkle
from forum_mcp.ledger.proof import format_growth
from tests.ledger.building import NEW_SIGNER, SIGNER, STRANGER, SmallLedger, grown


def proof_of(ledger: SmallLedger, old: int, note: str | None = None) -> str:
    """Return the growth proof from ``old`` entries to the whole ledger."""
    leaves = ledger.leaves

    def node(level: int, index: int) -> bytes:
        return merkle.root(leaves[index << level : (index + 1) << level])

    return format_growth(old, merkle.consistency_proof(old, len(leaves), node), note or ledger.signed())


def codes(text: str, since: str, *vkeys: str) -> list[str]:
    return [finding.code for finding in growth.verify(text, since, vkeys=vkeys or (SIGNER.vkey,)).findings]


def test_growth_from_every_size_is_accepted_and_says_how_far_it_reaches() -> None:
    ledger = grown(3)
    for old in range(1, len(ledger.raws) + 1):
        report = growth.verify(proof_of(ledger, old), ledger.signed(size=old), vkeys=[SIGNER.vkey])
        assert report.clean, report.findings
        assert (report.size, report.root) == (len(ledger.raws), merkle.root(ledger.leaves))
        assert report.holds == (
            f"growth: the first {old} of {report.size} entries are those of the kept checkpoint; both are signed",
        )
        assert report.newest_checkpoint == ledger.signed()


def test_without_a_key_nothing_is_claimed_of_signatures() -> None:
    ledger = grown()
    report = growth.verify(proof_of(ledger, 3), ledger.signed(STRANGER, size=3))
    assert report.clean
    assert "signed" not in report.holds[0]
    assert report.not_protected[0].startswith("signatures: not checked")


def test_a_rewritten_history_a_shrunk_one_and_another_ledger_are_told_apart() -> None:
    ledger = grown(3)
    kept = ledger.signed(size=4)
    rewritten = SmallLedger()
    for number in range(9):
        rewritten.append("note.made", {"n": number})
    assert codes(proof_of(rewritten, 4), kept) == ["checkpoint-root"]
    assert codes(proof_of(ledger, 3), kept) == ["size"]
    shorter = format_growth(4, [], ledger.signed(size=3))
    assert codes(shorter, kept) == ["checkpoint-beyond-tail"]
    foreign = kept.replace("forum-mcp.local/0", "forum-mcp.local/1")
    assert codes(proof_of(ledger, 4), foreign) == ["checkpoint-signature"]
    report = growth.verify(proof_of(ledger, 4), foreign)
    assert [finding.code for finding in report.findings] == ["checkpoint-origin"]
    assert codes(proof_of(ledger, 4, ledger.signed(STRANGER)), kept) == ["checkpoint-signature"]
    assert codes(proof_of(ledger, 4, ledger.signed(NEW_SIGNER)), kept, SIGNER.vkey, NEW_SIGNER.vkey) == []
    assert codes(proof_of(ledger, 4), kept, "rubbish", SIGNER.vkey) == ["vkey"]


def test_from_nothing_there_is_no_proof() -> None:
    ledger = grown()
    assert codes(format_growth(0, [], ledger.signed()), ledger.signed(size=0)) == ["checkpoint-root"]


def test_every_changed_character_of_a_growth_proof_is_found() -> None:
    ledger = grown(3)
    text, kept = proof_of(ledger, 5), ledger.signed(size=5)
    assert codes(text, kept) == []
    for place, character in enumerate(text):
        for other in {"", "A", "\n", " ", "=", "\x00", "\ud800"} - {character}:
            assert codes(text[:place] + other + text[place + 1 :], kept), (place, other)


def test_what_is_no_growth_proof_is_a_finding() -> None:
    kept = grown().signed()
    hashes = [b64encode(bytes(32)).decode()] * 65
    for text in ("", "\x00", "old 1", "old -1\n\n" + kept, "old 1\n" + "\n".join(hashes) + "\n\n" + kept):
        assert "checkpoint-format" in codes(text, kept), text
    assert "checkpoint-format" in codes(proof_of(grown(), 3), "no note")
