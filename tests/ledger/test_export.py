import json
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import pytest

from forum_mcp.errors import LedgerUnreadable
from forum_mcp.ledger.export import ExportSource, write
from forum_mcp.ledger.verify import Report, SourceFault, verify
from tests.ledger.building import LEDGER, NEW_SIGNER, SIGNER, SmallLedger, grown


def exported(ledger: SmallLedger, *, without_bodies: bool = False) -> list[bytes]:
    source = ledger.source()
    source.head_vkeys = [SIGNER.vkey]
    return list(
        write(source, ledger=LEDGER, size=len(ledger.raws), notes=[ledger.signed()], without_bodies=without_bodies)
    )


def codes(report: Report) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.seq) for finding in report.findings]


def kind_of(line: bytes) -> str:
    return str(json.loads(line)["t"])


def test_an_export_is_in_the_order_of_the_format_and_carries_the_exact_bytes() -> None:
    ledger = grown()
    lines = exported(ledger)
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert [kind_of(line) for line in lines] == ["head"] + ["entry"] * 7 + ["body"] * 5 + ["checkpoint"]
    head = {"t": "head", "format": "forum-export/v1", "ledger": LEDGER, "size": 7, "vkey": SIGNER.vkey}
    assert json.loads(lines[0]) == head
    assert [json.loads(line)["bytes"].encode() for line in lines[1:8]] == ledger.raws
    assert set(json.loads(lines[8])) == {"t", "commit", "type", "salt", "bytes"}


def test_an_export_verifies_as_the_ledger_does() -> None:
    ledger = grown()
    report = verify(ExportSource(b"".join(exported(ledger))), checkpoints=[ledger.signed(size=4)], vkeys=SIGNER.vkey)
    assert report.clean, report.findings
    assert report.root == verify(ledger.source()).root
    assert report.counts["bodies"] == 5
    assert report.newest_checkpoint == ledger.signed()


def test_an_export_is_read_from_text_bytes_lines_or_a_stream() -> None:
    lines = exported(grown())
    whole = b"".join(lines)
    texts = [line.decode() for line in lines]
    for given in (whole, whole.decode(), lines, texts, iter(lines), [line.strip() for line in texts]):
        assert verify(ExportSource(given)).clean


def test_lines_that_can_be_read_again_are_never_held_together() -> None:
    class File:
        opened = 0

        def __iter__(self) -> Iterator[bytes]:
            File.opened += 1
            return iter(lines)

    lines = exported(grown())
    assert verify(ExportSource(File())).clean
    assert File.opened > 2


def test_an_export_by_another_writer_may_space_and_order_its_members() -> None:
    lines = [json.dumps(json.loads(line), sort_keys=True, indent=None) for line in exported(grown())]
    assert verify(ExportSource("\n".join(lines))).clean


def test_separators_that_only_some_readers_break_lines_at_stay_inside_a_line() -> None:
    ledger = SmallLedger()
    ledger.append("test.happened", {"text": "a\u2028b\u2029c\u0085d\x1ee\x0bf"})
    assert verify(ExportSource(b"".join(exported(ledger)).decode())).clean


def test_bodies_left_out_on_purpose_are_no_fault_and_the_report_says_so() -> None:
    report = verify(ExportSource(exported(grown(), without_bodies=True)))
    assert report.clean
    assert report.counts["left_out"] == 5
    assert "bodies: 5 were left out on purpose and not checked" in report.not_protected


def test_bodies_left_out_without_a_word_are_missing() -> None:
    lines = [line for line in exported(grown()) if kind_of(line) != "body"]
    assert [code for code, _ in codes(verify(ExportSource(lines)))] == ["body-missing"] * 5


def test_a_head_with_several_keys_lists_them_oldest_first() -> None:
    ledger = grown()
    ledger.append("key.rotated", {"vkey": NEW_SIGNER.vkey})
    ledger.record_checkpoint(SIGNER, NEW_SIGNER)
    source = ledger.source()
    source.head_vkeys = [SIGNER.vkey, NEW_SIGNER.vkey]
    lines = list(write(source, ledger=LEDGER, size=len(ledger.raws), notes=[ledger.signed(NEW_SIGNER)]))
    assert json.loads(lines[0])["vkey"] == [SIGNER.vkey, NEW_SIGNER.vkey]
    assert verify(ExportSource(lines)).clean
    source.head_vkeys = []
    assert json.loads(next(write(source, ledger=LEDGER, size=0, notes=[])))["vkey"] is None


Change = Callable[[list[bytes]], object]


def edited(place: int, **members: object) -> Change:
    def change(lines: list[bytes]) -> None:
        lines[place] = json.dumps(cast("dict[str, object]", json.loads(lines[place])) | members).encode() + b"\n"

    return change


DAMAGE: dict[str, tuple[Change, Sequence[tuple[str, int | None]]]] = {
    "nothing at all": (lambda lines: lines.clear(), [("unreadable", None)]),
    "the last line is cut": (lambda lines: lines.__setitem__(-1, lines[-1][:40]), [("unreadable", None)]),
    "the last entry line is cut": (
        lambda lines: lines.__setitem__(slice(7, None), [lines[7][:99]]),
        [("size", None), ("unreadable", 6), *(("body-missing", seq) for seq in (1, 2, 3, 4))],
    ),
    "the last entry line is gone": (
        lambda lines: lines.pop(7),
        [("body-unreferenced", None), ("checkpoint-beyond-tail", None), ("size", None)],
    ),
    "an entry line in the middle is gone": (
        lambda lines: lines.pop(3),
        [
            ("body-unreferenced", None),
            ("checkpoint-beyond-tail", None),
            ("checkpoint-root", 5),
            ("prev", 2),
            ("seq", 2),
            ("size", None),
        ],
    ),
    "an entry line is overwritten with junk": (
        lambda lines: lines.__setitem__(3, b"\xff\x00 junk\n"),
        [
            ("body-unreferenced", None),
            ("checkpoint-beyond-tail", None),
            ("checkpoint-root", 6),
            ("size", None),
            ("unreadable", 2),
        ],
    ),
    "two entry lines swapped": (
        lambda lines: lines.__setitem__(slice(3, 5), [lines[4], lines[3]]),
        [("prev", 2), ("prev", 3), ("prev", 4), ("seq", 2), ("seq", 3)] + [("checkpoint-root", n) for n in (None, 6)],
    ),
    "a body before the entries": (lambda lines: lines.insert(1, lines.pop(8)), [("unreadable", None)]),
    "a head in the middle": (lambda lines: lines.insert(4, lines[0]), [("unreadable", None)]),
    "an empty line": (lambda lines: lines.insert(10, b"\n"), [("unreadable", None)]),
    "a line of another kind": (lambda lines: lines.append(b'{"t":"note"}\n'), [("unreadable", None)]),
    "a member nobody knows": (edited(12, more=1), [("body-missing", None), ("unreadable", None)]),
    "a member twice": (
        lambda lines: lines.__setitem__(-1, lines[-1].replace(b'"note":', b'"note":"","note":')),
        [("unreadable", None)],
    ),
    "a head of another format": (edited(0, format="forum-export/v2"), [("unreadable", None)]),
    "a head with another size": (edited(0, size=8), [("size", None)]),
    "a head with another key": (edited(0, vkey=NEW_SIGNER.vkey), [("vkey", None)]),
    "a head with another ledger": (
        edited(0, ledger="f" * 32),
        [("other-ledger", seq) for seq in range(7)]
        + [("prev", 0), ("checkpoint-origin", None), ("checkpoint-origin", 6)],
    ),
    "no head": (lambda lines: lines.pop(0), [("unreadable", None)]),
    "a salt in capitals": (
        lambda lines: edited(8, salt=str(json.loads(lines[8])["salt"]).upper())(lines),
        [("body-missing", None), ("unreadable", None)],
    ),
    "bytes that are no base64": (edited(8, bytes="%%%"), [("body-missing", None), ("unreadable", None)]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_to_an_export_is_found_and_never_raised(name: str) -> None:
    change, expected = DAMAGE[name]
    lines = exported(grown())
    change(lines)
    found = codes(verify(ExportSource(b"".join(lines))))
    # Which entry cites a body depends on the order of commitments, so the place of a missing body is not compared.
    if ("body-missing", None) in expected:
        found = [(code, None) for code, _ in found]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_every_prefix_of_an_export_is_read_without_an_exception_and_never_clean() -> None:
    whole = b"".join(exported(grown()))
    last_line = whole.rstrip(b"\n").rfind(b"\n") + 1
    for stop in range(0, last_line, 7):
        assert not verify(ExportSource(whole[:stop])).clean, stop


def test_no_single_byte_of_an_export_can_change_unnoticed() -> None:
    ledger = SmallLedger()
    ledger.append("test.happened", {"n": 1}, {"text": ("text/plain", b"words")})
    whole = b"".join(exported(ledger))
    kept = ledger.signed()
    for place in range(len(whole) - 1):
        for flip in (0x01, 0x20, 0x80):
            damaged = whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
            report = verify(ExportSource(damaged), checkpoints=[kept], vkeys=[SIGNER.vkey])
            assert not report.clean, (place, flip, damaged[max(0, place - 30) : place + 30])


def test_what_no_export_can_hold_is_refused() -> None:
    source = grown().source()
    source.put(2, b"\xff")
    with pytest.raises(LedgerUnreadable, match="entry 2 is no UTF-8 text"):
        list(write(source, ledger=LEDGER, size=7, notes=[]))
    source.rows[2] = SourceFault(2, "torn page")
    with pytest.raises(LedgerUnreadable, match="torn page"):
        list(write(source, ledger=LEDGER, size=7, notes=[]))


def test_a_body_that_cannot_be_unpacked_is_missing_from_the_export() -> None:
    source = grown().source()
    row = source.body_rows[0]
    assert not isinstance(row, SourceFault)
    source.body_rows[0] = (row[0], row[1], row[2], None)
    lines = list(write(source, ledger=LEDGER, size=7, notes=[]))
    assert [finding.body for finding in verify(ExportSource(lines)).findings] == [row[0]]
