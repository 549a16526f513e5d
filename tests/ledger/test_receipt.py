"""Receipts: what they prove, and what each kind of damage to one is called."""

import json
from collections.abc import Callable, Sequence

import pytest

from forum_mcp.errors import LedgerUnreadable
from forum_mcp.ledger import receipt
from forum_mcp.ledger.finding import Report
from tests.ledger.building import LEDGER, NEW_SIGNER, SIGNER, STRANGER, grown
from tests.standalone.pair import receipt_of

WHOLE = grown()
LINES = receipt_of(WHOLE, [1, 2, 5])


def codes(report: Report) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.seq) for finding in report.findings]


def test_a_receipt_is_in_the_order_of_the_format_and_carries_the_exact_bytes() -> None:
    kinds = [json.loads(line)["t"] for line in LINES]
    assert kinds == ["head", "entry", "proof", "body", "entry", "proof", "body", "entry", "proof"]
    assert json.loads(LINES[0]) == {"t": "head", "format": "forum-receipt/v1", "ledger": LEDGER, "vkey": SIGNER.vkey}
    assert json.loads(LINES[1])["bytes"].encode() == WHOLE.raws[1]
    assert json.loads(LINES[2])["text"].startswith("c2sp.org/tlog-proof@v1\nindex 1\n")


def test_a_receipt_verifies_from_bytes_or_lines_and_says_what_it_does_not_show() -> None:
    for given in (b"".join(LINES), LINES, iter(LINES)):
        report = receipt.verify(given, vkeys=SIGNER.vkey)
        assert report.clean, report.findings
        assert report.counts == {"entries": 3, "bodies": 2, "left_out": 0, "proven": 3, "checkpoints": 1}
        assert report.newest_checkpoint == WHOLE.signed()
        assert any(line.startswith("rest:") for line in report.not_protected)
    assert any(line.startswith("signer:") for line in receipt.verify(LINES).not_protected)


def test_a_kept_checkpoint_of_the_same_size_is_compared_and_another_is_said_not_to_be() -> None:
    assert any(line.startswith("kept:") for line in receipt.verify(LINES, checkpoints=WHOLE.signed()).holds)
    other = receipt.verify(LINES, checkpoints=[WHOLE.signed(size=3)])
    assert other.clean
    assert any(line.startswith("kept:") for line in other.not_protected)
    rewritten = grown()
    rewritten.raws[2:] = []
    rewritten.append("test.happened")
    while len(rewritten.raws) < len(WHOLE.raws):
        rewritten.append("test.happened")
    assert codes(receipt.verify(LINES, checkpoints=rewritten.signed())) == [("checkpoint-root", None)]


Change = Callable[[list[bytes]], object]


def replaced(place: int, old: bytes, new: bytes) -> Change:
    def change(lines: list[bytes]) -> None:
        assert old in lines[place]
        lines[place] = lines[place].replace(old, new, 1)

    return change


DAMAGE: dict[str, tuple[Change, Sequence[tuple[str, int | None]]]] = {
    "nothing at all": (lambda lines: lines.clear(), [("unreadable", None)]),
    "the head alone": (lambda lines: lines.__delitem__(slice(1, None)), [("unreadable", None)]),
    "no head": (lambda lines: lines.pop(0), [("unreadable", None)]),
    "a proof of another entry": (lambda lines: lines.__setitem__(2, lines[5]), [("seq", 1)]),
    "no proof": (lambda lines: lines.pop(8), [("checkpoint-format", 5)]),
    "an index changed": (replaced(2, b"index 1", b"index 3"), [("seq", 1)]),
    "an entry changed": (replaced(1, b"run.started", b"run.stopped"), [("prev", 2), ("checkpoint-root", 1)]),
    "an entry twice": (
        lambda lines: lines.extend(lines[7:9]),
        [("seq", 5)],
    ),
    "a body of another entry": (
        lambda lines: lines.__setitem__(3, lines[6]),
        [("body-unreferenced", 1)],
    ),
    "a body twice": (lambda lines: lines.insert(4, lines[3]), [("body-unreferenced", 1)]),
    "a body before its proof": (
        lambda lines: lines.insert(2, lines.pop(3)),
        [("unreadable", None)],
    ),
    "a line of an export": (lambda lines: lines.append(b'{"t":"checkpoint","note":""}'), [("unreadable", None)]),
    "an empty line": (lambda lines: lines.insert(4, b"\n"), [("unreadable", None)]),
    "another format": (replaced(0, b"receipt/v1", b"receipt/v2"), [("unreadable", None)]),
    "another ledger": (
        replaced(0, LEDGER.encode(), b"9" * 32),
        [(code, seq) for seq in (1, 2, 5) for code in ("other-ledger", "checkpoint-origin")],
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_to_a_receipt_is_found_by_its_name_and_never_raised(name: str) -> None:
    change, expected = DAMAGE[name]
    lines = list(LINES)
    change(lines)
    assert sorted(codes(receipt.verify(b"".join(lines))), key=repr) == sorted(expected, key=repr)


def test_a_key_that_the_caller_does_not_trust_is_named_and_signs_nothing() -> None:
    report = receipt.verify(LINES, vkeys=[NEW_SIGNER.vkey])
    assert codes(report) == [("vkey", None), *(("checkpoint-signature", seq) for seq in (1, 2, 5))]
    forged = receipt_of(grown(4), [1], STRANGER)
    assert receipt.verify(forged).clean
    assert ("checkpoint-signature", 1) in codes(receipt.verify(forged, vkeys=[SIGNER.vkey]))


def test_two_proofs_under_different_histories_are_found() -> None:
    one, other = grown(), grown()
    other.raws[6] = other.raws[6].replace(b'"engine"', b'"anyone"')
    lines = [*receipt_of(one, [1]), *receipt_of(other, [2])[1:]]
    assert codes(receipt.verify(lines, vkeys=SIGNER.vkey)) == [("checkpoint-root", 2)]


def test_a_level_below_three_leaves_the_place_unproven_and_says_so() -> None:
    lines = [line for line in LINES if b'"t":"proof"' not in line and b'"t":"body"' not in line]
    report = receipt.verify(lines, level=1)
    assert report.clean
    assert "place: not proven at this level" in report.not_protected
    with pytest.raises(ValueError, match="level 4"):
        receipt.verify(lines, level=4)


def test_an_entry_that_is_no_text_has_no_receipt() -> None:
    with pytest.raises(LedgerUnreadable):
        list(receipt.write([receipt.Proven(b"\xff", "")], ledger=LEDGER, vkeys=[]))
