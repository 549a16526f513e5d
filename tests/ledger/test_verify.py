"""Each kind of damage, made by hand, must be found with its code and its place; a clean ledger gives no finding."""

from collections.abc import Callable, Mapping

import msgspec
import pytest

from forum_mcp.ledger import checkpoint, merkle, note
from forum_mcp.ledger.entry import decode, leaf_hash
from forum_mcp.ledger.finding import CODES, FINDINGS_KEPT, Finding
from forum_mcp.ledger.members import seal
from forum_mcp.ledger.verify import RawBody, Report, SourceFault, verify
from tests.ledger.building import LEDGER, NEW_SIGNER, SIGNER, STRANGER, MemorySource, SmallLedger, grown

Damage = Callable[[MemorySource], object]


def codes(report: Report) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.seq) for finding in report.findings]


def changed(raw: bytes, members: Mapping[str, object]) -> bytes:
    """The entry with some members replaced, spelt canonically."""
    value = msgspec.json.decode(raw, type=dict[str, object])
    return msgspec.json.encode({**value, **members}, order="sorted")


def relinked(ledger: SmallLedger) -> SmallLedger:
    """Repair every link after an edit, as an owner who rewrites history would."""
    for seq in range(1, len(ledger.raws)):
        ledger.raws[seq] = changed(ledger.raws[seq], {"prev": leaf_hash(ledger.raws[seq - 1]).hex()})
    return ledger


def test_an_untouched_ledger_is_clean_at_every_level() -> None:
    ledger = grown()
    for level in (1, 2, 3):
        report = verify(ledger.source(), level=level)
        assert report.clean
        assert (report.findings, report.total) == ((), 0)
        assert (report.level, report.ledger, report.size) == (level, LEDGER, len(ledger.raws))
        assert report.root == merkle.root(ledger.leaves)
    assert report.counts["entries"] == 7
    assert report.counts["bodies"] == 5
    assert report.counts["checkpoints"] == 1
    assert report.counts["nodes"] == 4
    assert report.newest_checkpoint is not None
    assert checkpoint.parse(note.verify(report.newest_checkpoint, SIGNER.vkey).text).size == 6


def test_a_ledger_without_an_entry_is_no_ledger_and_has_the_empty_root() -> None:
    report = verify(SmallLedger(opened=False).source())
    assert [(finding.code, finding.found) for finding in report.findings] == [("unreadable", "none")]
    assert report.root == merkle.EMPTY_ROOT


def test_a_clean_ledger_is_read_once() -> None:
    source = grown().source()
    verify(source, checkpoints=[grown().signed(size=3)])
    assert source.times_read == 1


CHAIN_DAMAGE: dict[str, tuple[Damage, list[tuple[str, int | None]]]] = {
    "entry that is not JSON": (
        lambda s: s.put(2, b"\xff{"),
        [("unreadable", 2), ("prev", 3), ("tree-node", 3), ("tree-node", 3)],
    ),
    "entry nested beyond reason": (lambda s: s.put(6, b"[" * 60_000), [("unreadable", 6)]),
    "row that cannot be read": (
        lambda s: s.rows.__setitem__(2, SourceFault(2, "torn page")),
        [("unreadable", 2)],
    ),
    "too large": (
        lambda s: s.put(6, changed(s.raw(6), {"data": {"size": 6, "x": "x" * 66_000}})),
        [("too-large", 6)],
    ),
    "spaces": (lambda s: s.put(6, s.raw(6).replace(b'"v":1', b'"v": 1')), [("not-canonical", 6)]),
    "members in another order": (
        lambda s: s.put(6, b'{"v":1,' + s.raw(6)[1:].replace(b',"v":1', b"")),
        [("not-canonical", 6)],
    ),
    "member twice": (lambda s: s.put(6, s.raw(6).replace(b'"v":1', b'"v":2,"v":1')), [("not-canonical", 6)]),
    "key twice in data": (
        lambda s: s.put(6, s.raw(6).replace(b'"data":{', b'"data":{"a":1,"a":2,')),
        [("not-canonical", 6)],
    ),
    "needless escape": (lambda s: s.put(6, s.raw(6).replace(b"engine", b"engin\\u0065")), [("not-canonical", 6)]),
    "minus zero": (lambda s: s.put(6, s.raw(6).replace(b'"data":{', b'"data":{"a":-0,')), [("not-canonical", 6)]),
    "float": (lambda s: s.put(6, s.raw(6).replace(b'"data":{', b'"data":{"a":1.5,')), [("not-canonical", 6)]),
    "big integer": (
        lambda s: s.put(6, s.raw(6).replace(b'"data":{', b'"data":{"a":9007199254740992,')),
        [("not-canonical", 6)],
    ),
    "huge integer": (
        lambda s: s.put(6, s.raw(6).replace(b'"data":{', b'"data":{"a":1%s,' % (b"0" * 400))),
        [("not-canonical", 6)],
    ),
    "non-ASCII key": (
        lambda s: s.put(6, s.raw(6).replace(b'"size":6', '"size":6,"é":1'.encode())),
        [("not-canonical", 6)],
    ),
    "time beyond the integers": (lambda s: s.put(6, changed(s.raw(6), {"at": 2**53})), [("not-canonical", 6)]),
    "unknown member": (lambda s: s.put(6, changed(s.raw(6), {"extra": 1})), [("member", 6)]),
    "member absent": (lambda s: s.put(6, s.raw(6).replace(b'"run":null,', b"")), [("member", 6)]),
    "member of another type": (lambda s: s.put(6, changed(s.raw(6), {"seq": "6"})), [("member", 6)]),
    "no object": (lambda s: s.put(6, b"[]"), [("member", 6)]),
    "empty actor": (lambda s: s.put(6, changed(s.raw(6), {"actor": ""})), [("member", 6)]),
    "long actor": (lambda s: s.put(6, changed(s.raw(6), {"actor": "a" * 201})), [("member", 6)]),
    "kind without a dot": (lambda s: s.put(6, changed(s.raw(6), {"kind": "checkpoint"})), [("member", 6)]),
    "run id in capitals": (lambda s: s.put(6, changed(s.raw(6), {"run": "A" * 32})), [("member", 6)]),
    "version from the future": (lambda s: s.put(6, changed(s.raw(6), {"v": 2})), [("version", 6)]),
    "version from the future, with its members": (
        lambda s: s.put(6, changed(s.raw(6), {"v": 2, "new": {}})),
        [("version", 6)],
    ),
    "seq of another place": (lambda s: s.put(6, changed(s.raw(6), {"seq": 9})), [("seq", 6)]),
    "negative seq": (lambda s: s.put(6, changed(s.raw(6), {"seq": -1})), [("seq", 6), ("seq", 6)]),
    "link to nothing": (lambda s: s.put(6, changed(s.raw(6), {"prev": "0" * 64})), [("prev", 6)]),
    "link in capitals": (lambda s: s.put(6, changed(s.raw(6), {"prev": "A" * 64})), [("prev", 6)]),
    "first link": (
        lambda s: s.put(0, changed(s.raw(0), {"prev": "0" * 64})),
        [("prev", 0), ("prev", 1), ("tree-node", 1), ("tree-node", 3)],
    ),
    "parent not older": (lambda s: s.put(6, changed(s.raw(6), {"parents": [6]})), [("parents", 6)]),
    "parents out of order": (lambda s: s.put(6, changed(s.raw(6), {"parents": [3, 1]})), [("parents", 6)]),
    "parent twice": (lambda s: s.put(6, changed(s.raw(6), {"parents": [3, 3]})), [("parents", 6)]),
    "negative parent": (lambda s: s.put(6, changed(s.raw(6), {"parents": [-1]})), [("parents", 6)]),
    "too many parents": (lambda s: s.put(6, changed(s.raw(6), {"parents": list(range(257))})), [("parents", 6)]),
    "entry of another ledger": (lambda s: s.put(6, changed(s.raw(6), {"ledger": "f" * 32})), [("other-ledger", 6)]),
    "edited entry in the middle": (
        lambda s: s.put(3, changed(s.raw(3), {"actor": "mallory"})),
        [("prev", 4), ("tree-node", 3), ("tree-node", 3)],
    ),
    "dropped entry in the middle": (lambda s: s.rows.pop(3), [("seq", 4), ("prev", 4)]),
    "dropped first entry": (lambda s: s.rows.pop(0), [("seq", 1)]),
    "entries swapped": (
        lambda s: s.rows.__setitem__(slice(3, 5), [(3, s.raw(4)), (4, s.raw(3))]),
        [
            ("seq", 3),
            ("prev", 3),
            ("seq", 4),
            ("prev", 4),
            ("prev", 5),
            *(("tree-node", seq) for seq in (3, 3, 3, 4, 5)),
        ],
    ),
    "edited entry, its stored hash left alone": (
        lambda s: s.rows.__setitem__(6, (6, changed(s.raw(6), {"actor": "mallory"}))),
        [("tree-node", 6)],
    ),
    "stored leaf hash changed": (lambda s: s.keep(2, 0, bytes(32)), [("tree-node", 2)]),
    "stored node changed": (lambda s: s.keep(3, 1, bytes(32)), [("tree-node", 3)]),
    "stored node too short": (lambda s: s.keep(3, 2, b"\0"), [("tree-node", 3)]),
    "stored node gone": (lambda s: s.keep(3, 2, b""), [("tree-node", 3)]),
    "stored hashes all gone": (
        lambda s: s.kept.clear(),
        [("tree-node", seq) for seq in (0, 1, 1, 2, 3, 3, 3, 4, 5, 5, 6)],
    ),
    "stored node too many": (lambda s: s.keep(6, 1, bytes(32)), [("tree-node", 6)]),
    "a fault of the container": (
        lambda s: s.other_faults.append(SourceFault(None, "torn page")),
        [("tree-node", None)],
    ),
}


@pytest.mark.parametrize("name", CHAIN_DAMAGE)
def test_damage_to_the_chain_is_found_at_its_place(name: str) -> None:
    damage, expected = CHAIN_DAMAGE[name]
    source = grown().source()
    damage(source)
    report = verify(source, level=1)
    found = codes(report)
    assert sorted(found, key=repr) == sorted(expected, key=repr), report.findings
    assert not any(sentence.startswith("chain:") for sentence in report.holds)


def test_after_a_gap_the_stored_nodes_beyond_it_are_not_blamed() -> None:
    source = grown(tasks=4).source()
    source.rows.pop(3)
    assert codes(verify(source, level=1)) == [("seq", 4), ("prev", 4)]


def test_bytes_moved_from_one_stored_hash_into_the_next_are_found() -> None:
    source = grown().source()
    moved = source.kept[1][-16:]
    source.kept[1], source.kept[2] = source.kept[1][:-16], moved + source.kept[2]
    assert codes(verify(source, level=1)) == [("tree-node", 1), ("tree-node", 2), ("tree-node", 2)]


def test_a_wrong_node_far_into_a_large_tree_is_named_alone() -> None:
    source = grown(tasks=1100).source()
    source.keep(801, 1, bytes(32))
    report = verify(source, level=1)
    assert codes(report) == [("tree-node", 801)]
    assert report.findings[0].expected.startswith("node 400 of level 1: ")


def body_row(source: MemorySource, text: bytes) -> int:
    for place, row in enumerate(source.body_rows):
        if not isinstance(row, SourceFault) and row[3] == text:
            return place
    raise AssertionError(text)


def with_body(text: bytes, change: Callable[[RawBody], RawBody]) -> Damage:
    def damage(source: MemorySource) -> None:
        place = body_row(source, text)
        row = source.body_rows[place]
        assert not isinstance(row, SourceFault)
        source.body_rows[place] = change(row)

    return damage


BODY_DAMAGE: dict[str, tuple[Damage, list[tuple[str, int | None]]]] = {
    "gone without a record": (lambda s: s.body_rows.pop(body_row(s, b"output 1")), [("body-missing", 3)]),
    "all gone": (lambda s: s.body_rows.clear(), [("body-missing", seq) for seq in (1, 2, 3, 4, 6)]),
    "another text": (with_body(b"output 1", lambda b: (b[0], b[1], b[2], b"output 2")), [("body-mismatch", 3)]),
    "another salt": (with_body(b"output 1", lambda b: (b[0], b[1], bytes(32), b[3])), [("body-mismatch", 3)]),
    "a salt cut short": (with_body(b"output 1", lambda b: (b[0], b[1], b[2][:-1], b[3])), [("body-mismatch", 3)]),
    "another type": (with_body(b"output 1", lambda b: (b[0], "text/html", b[2], b[3])), [("body-mismatch", 3)]),
    "a type that is no text of ours": (
        with_body(b"output 1", lambda b: (b[0], "\ud800", b[2], b[3])),
        [("body-mismatch", 3)],
    ),
    "bytes that cannot be unpacked": (
        with_body(b"output 1", lambda b: (b[0], b[1], b[2], None)),
        [("body-mismatch", 3)],
    ),
    "another commitment": (
        with_body(b"output 1", lambda b: ("e" * 64, b[1], b[2], b[3])),
        [("body-missing", 3), ("body-unreferenced", None), ("body-mismatch", None)],
    ),
    "no commitment at all": (
        with_body(b"output 1", lambda b: ("../etc", b[1], b[2], b[3])),
        [("body-missing", 3), ("body-mismatch", None)],
    ),
    "a boundary moved between type and text": (
        with_body(b"output 1", lambda b: (b[0], "text/plain\noutput", b[2], b"1")),
        [("body-mismatch", 3)],
    ),
    "one that no entry cites": (
        lambda s: s.body_rows.append(("e" * 64, "text/plain", bytes(32), b"stray")),
        [("body-unreferenced", None), ("body-mismatch", None)],
    ),
    "a second copy": (
        lambda s: s.body_rows.append(s.body_rows[body_row(s, b"output 1")]),
        [("body-unreferenced", 3)],
    ),
    "a row that cannot be read": (
        lambda s: s.body_rows.append(SourceFault(None, "torn page")),
        [("unreadable", None)],
    ),
    "a fault of the dedup index": (lambda s: s.index_rows.append("e" * 64), [("body-ref", None)]),
}


@pytest.mark.parametrize("name", BODY_DAMAGE)
def test_damage_to_a_body_is_found_and_the_chain_stays_clean(name: str) -> None:
    damage, expected = BODY_DAMAGE[name]
    source = grown().source()
    damage(source)
    assert verify(source, level=1).clean
    report = verify(source, level=2)
    assert sorted(codes(report), key=repr) == sorted(expected, key=repr), report.findings


class InStep(MemorySource):
    """Bodies in the order of appending, which can be found: they are met in step with the entries that cite them."""

    @property
    def finds_bodies(self) -> bool:
        return True

    def find(self, commit: str) -> RawBody | None:
        return next((row for row in self.body_rows if not isinstance(row, SourceFault) and row[0] == commit), None)


def in_step(ledger: SmallLedger) -> InStep:
    return InStep(list(enumerate(ledger.raws)), list(ledger.bodies.values()), ledger.source().kept)


@pytest.mark.parametrize("name", BODY_DAMAGE)
def test_damage_to_a_body_is_found_too_where_bodies_are_met_in_step(name: str) -> None:
    damage, expected = BODY_DAMAGE[name]
    source = in_step(grown())
    damage(source)
    report = verify(source, level=2)
    if name == "a second copy":  # the first was met and is remembered by nobody
        expected = [("body-unreferenced", None)]
    assert sorted(codes(report), key=repr) == sorted(expected, key=repr), report.findings


def test_a_body_cited_again_is_held_against_every_reference_where_bodies_are_met_in_step() -> None:
    ledger = SmallLedger()
    first = ledger.append("x.noted", {}, {"b": ("text/plain", b"words")})
    commit = ledger.commit_of(first, "b")
    for size in (5, 5, 6):
        raw = decode(ledger.raws[first])
        ref = msgspec.structs.replace(raw.bodies["b"], size=size)
        prev = leaf_hash(ledger.raws[-1]).hex()
        entry = msgspec.structs.replace(raw, bodies={"b": ref}, prev=prev, seq=len(ledger.raws))
        ledger.raws.append(seal(entry))
    report = verify(in_step(ledger), level=2)
    assert codes(report) == [("body-mismatch", 4)]
    assert report.findings[0].body == commit
    assert report.counts["bodies"] == 1


@pytest.mark.parametrize("cited_again", [False, True])
def test_a_redacted_body_that_is_still_there_is_found_where_bodies_are_met_in_step(*, cited_again: bool) -> None:
    ledger = SmallLedger()
    first = ledger.append("x.noted", {}, {"b": ("text/plain", b"words")})
    commit = ledger.commit_of(first, "b")
    kept = ledger.bodies[commit]
    if cited_again:
        raw = decode(ledger.raws[first])
        prev = leaf_hash(ledger.raws[-1]).hex()
        ledger.raws.append(seal(msgspec.structs.replace(raw, prev=prev, seq=len(ledger.raws))))
    ledger.redact(commit)
    assert verify(in_step(ledger)).clean
    source = in_step(ledger)
    source.body_rows.insert(0, kept)
    report = verify(source, level=2)
    assert [code for code, _ in codes(report)] == ["body-redacted-but-present"]
    assert report.findings[0].body == commit


def test_thousands_of_bodies_met_in_step_are_all_checked() -> None:
    ledger = grown(tasks=6000)
    source = in_step(ledger)
    report = verify(source)
    assert report.clean
    assert report.counts["bodies"] == len(ledger.bodies)
    source.body_rows.reverse()
    assert verify(source).counts["bodies"] == len(ledger.bodies)
    source.body_rows.pop(3000)
    assert [code for code, _ in codes(verify(source))] == ["body-missing"]


def test_bodies_are_checked_in_whatever_order_they_come() -> None:
    ledger = grown(tasks=600)
    source = ledger.source()
    source.body_rows[:] = [ledger.bodies[key] for key in sorted(ledger.bodies, key=lambda key: key[::-1])]
    assert verify(source).clean
    lost = source.body_rows.pop(17)
    assert not isinstance(lost, SourceFault)
    assert [(f.code, f.body) for f in verify(source).findings] == [("body-missing", lost[0])]


def test_a_redacted_body_is_no_fault_and_is_counted() -> None:
    ledger = grown()
    ledger.redact(ledger.commit_of(3, "output"))
    report = verify(ledger.source())
    assert report.clean
    assert report.counts["redacted"] == 1
    assert any("redacted" in sentence for sentence in report.not_protected)


def test_a_body_that_is_still_there_after_its_redaction_is_found() -> None:
    ledger = grown()
    commit = ledger.commit_of(3, "output")
    kept = ledger.bodies[commit]
    ledger.redact(commit)
    ledger.bodies[commit] = kept
    report = verify(ledger.source())
    assert [(f.code, f.seq, f.body) for f in report.findings] == [("body-redacted-but-present", 3, commit)]


@pytest.mark.parametrize("commit", ["e" * 64, "E" * 64, "", None, 7])
def test_a_redaction_of_something_no_entry_cites_is_found(commit: object) -> None:
    ledger = grown()
    seq = ledger.append("body.redacted", {"commit": commit})
    assert codes(verify(ledger.source())) == [("body-ref", seq)]


@pytest.mark.parametrize(
    "reference",
    [
        {"commit": "E" * 64, "size": 1, "type": "text/plain"},
        {"commit": "e" * 63, "size": 1, "type": "text/plain"},
        {"commit": "e" * 64, "size": -1, "type": "text/plain"},
        {"commit": "e" * 64, "size": 1, "type": ""},
        {"commit": "e" * 64, "size": 1, "type": "Text/plain"},
        {"commit": "e" * 64, "size": 1, "type": "text/plain charset"},
        {"commit": "e" * 64, "size": 1, "type": "text/pläin"},
        {"commit": "e" * 64, "size": 1, "type": "x" * 101},
    ],
    ids=str,
)
def test_a_malformed_reference_to_a_body_is_found(reference: dict[str, object]) -> None:
    source = grown().source()
    source.put(6, changed(source.raw(6), {"bodies": {"note": reference}}))
    assert ("body-ref", 6) in codes(verify(source, level=1))


def test_a_size_or_type_other_than_the_entry_states_is_found() -> None:
    for reference in ({"size": 9}, {"type": "text/html"}):
        ledger = grown()
        output = msgspec.to_builtins(decode(ledger.raws[2]).bodies["output"]) | reference
        ledger.raws[2] = changed(ledger.raws[2], {"bodies": {"output": output}})
        report = verify(relinked(ledger).source(), level=2)
        assert codes(report) == [("body-mismatch", 2)]


def test_a_dropped_tail_is_found_from_a_kept_checkpoint_and_only_from_one() -> None:
    ledger = grown()
    kept = ledger.signed()
    ledger.raws = ledger.raws[:4]
    ledger.bodies = {
        ref.commit: ledger.bodies[ref.commit] for raw in ledger.raws for ref in decode(raw).bodies.values()
    }
    unaided = verify(ledger.source())
    assert unaided.clean
    assert "tail: not protected, no checkpoint is known outside this file" in unaided.not_protected
    report = verify(ledger.source(), checkpoints=[kept])
    assert [(f.code, f.expected, f.found) for f in report.findings] == [
        ("checkpoint-beyond-tail", "7 entries, as a kept checkpoint says", "4 entries")
    ]
    assert "tail: not protected, none of the 1 given agrees" in report.not_protected


def test_a_rewritten_history_is_found_from_a_kept_checkpoint() -> None:
    ledger = grown()
    kept = ledger.signed(size=5)
    ledger.raws[2] = changed(ledger.raws[2], {"actor": "mallory"})
    ledger.raws = ledger.raws[:-1]
    relinked(ledger).record_checkpoint()
    ledger.bodies = {
        ref.commit: ledger.bodies[ref.commit] for raw in ledger.raws for ref in decode(raw).bodies.values()
    }
    assert verify(ledger.source()).clean
    report = verify(ledger.source(), checkpoints=kept, vkeys=SIGNER.vkey)
    assert [finding.code for finding in report.findings] == ["checkpoint-root"]


def test_a_kept_checkpoint_says_how_far_the_tail_is_protected() -> None:
    ledger = grown()
    report = verify(ledger.source(), checkpoints=[ledger.signed(size=3), ledger.signed(size=5)])
    assert report.clean
    assert "tail: the first 5 entries are those of a checkpoint kept outside this file" in report.holds
    assert any("newest 2 entries are not protected" in sentence for sentence in report.not_protected)
    whole = verify(ledger.source(), checkpoints=[ledger.signed()])
    assert not any(sentence.startswith("tail") for sentence in whole.not_protected)


def test_every_report_says_that_integrity_is_not_truth() -> None:
    for level in (1, 2, 3):
        report = verify(grown().source(), level=level)
        assert any(sentence.startswith("content: integrity is not truth") for sentence in report.not_protected)


def test_a_stored_checkpoint_of_any_size_is_held_against_the_tree() -> None:
    ledger = grown()
    right = ledger.signed(size=2)
    ledger.append("checkpoint.signed", {"size": 2}, {"note": ("text/plain", right.encode())})
    assert verify(ledger.source()).clean
    head = checkpoint.Checkpoint(checkpoint.origin_of(LEDGER), 3, b"\1" * 32)
    wrong = note.sign(checkpoint.format(head), SIGNER)
    seq = ledger.append("checkpoint.signed", {"size": 3}, {"note": ("text/plain", wrong.encode())})
    assert codes(verify(ledger.source())) == [("checkpoint-root", seq)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no note at all", "checkpoint-format"),
        ("", "checkpoint-format"),
        (note.sign("not\na\ncheckpoint\n", SIGNER), "checkpoint-format"),
        (note.sign(f"example.com/other\n0\n{'A' * 43}=\n", SIGNER), "checkpoint-origin"),
        (grown().signed(STRANGER, size=3), "checkpoint-signature"),
        (grown().signed(size=3).replace("\n3\n", "\n4\n"), "checkpoint-signature"),
        (grown(tasks=9).signed(), "checkpoint-beyond-tail"),
        (grown(tasks=9).signed(size=6), "checkpoint-root"),
    ],
    ids=ascii,
)
def test_a_wrong_checkpoint_is_found_wherever_it_comes_from(text: str, code: str) -> None:
    assert codes(verify(grown().source(), checkpoints=[text])) == [(code, None)]
    ledger = grown()
    seq = ledger.append("checkpoint.signed", {}, {"note": ("text/plain", text.encode())})
    assert codes(verify(ledger.source())) == [(code, seq)]


def test_a_checkpoint_of_another_size_than_its_entry_states_is_found() -> None:
    ledger = grown()
    text = ledger.signed(size=3).encode()
    seq = ledger.append("checkpoint.signed", {"size": 4}, {"note": ("text/plain", text)})
    assert codes(verify(ledger.source())) == [("checkpoint-format", seq)]


def test_a_cosignature_of_a_third_party_does_no_harm() -> None:
    witness = note.Signer("witness.example", b"\x77" * 32)
    report = verify(grown().source(), checkpoints=[grown().signed(SIGNER, witness)])
    assert report.clean


def test_a_verifier_key_from_outside_must_be_one_of_the_record() -> None:
    source = grown().source()
    assert verify(source, vkeys=[SIGNER.vkey]).clean
    assert codes(verify(source, vkeys=[STRANGER.vkey])) == [("vkey", None)]
    assert codes(verify(source, vkeys=["no key"])) == [("vkey", None)]
    source.head_vkeys = [STRANGER.vkey]
    assert codes(verify(source)) == [("vkey", None)]


def test_a_malformed_verifier_key_in_the_record_is_found() -> None:
    ledger = SmallLedger(opened=False)
    ledger.append("ledger.opened", {"vkey": "no key"})
    assert codes(verify(ledger.source())) == [("vkey", 0)]


def test_without_any_key_the_report_says_that_signatures_were_not_checked() -> None:
    ledger = SmallLedger(opened=False)
    ledger.append("test.happened")
    ledger.record_checkpoint()
    report = verify(ledger.source())
    assert report.clean
    assert "signatures: not checked, no verifier key is known" in report.not_protected
    assert verify(ledger.source(), vkeys=[SIGNER.vkey]).clean
    assert codes(verify(ledger.source(), vkeys=[STRANGER.vkey])) == [("checkpoint-signature", 1)]


def test_a_rotated_key_needs_a_checkpoint_signed_by_old_and_new() -> None:
    ledger = grown()
    seq = ledger.append("key.rotated", {"vkey": NEW_SIGNER.vkey})
    assert codes(verify(ledger.source())) == [("vkey", seq)]
    ledger.record_checkpoint(NEW_SIGNER)
    assert codes(verify(ledger.source())) == [("vkey", seq)]
    ledger.record_checkpoint(SIGNER, NEW_SIGNER)
    ledger.record_checkpoint(NEW_SIGNER)
    for trusted in ([], [SIGNER.vkey], [NEW_SIGNER.vkey], [SIGNER.vkey, NEW_SIGNER.vkey]):
        assert verify(ledger.source(), vkeys=trusted).clean


def test_a_checkpoint_that_does_not_cover_the_rotation_does_not_vouch_for_it() -> None:
    ledger = grown()
    before = ledger.signed(SIGNER, NEW_SIGNER)
    seq = ledger.append("key.rotated", {"vkey": NEW_SIGNER.vkey})
    ledger.append("checkpoint.signed", {"size": seq}, {"note": ("text/plain", before.encode())})
    assert codes(verify(ledger.source())) == [("vkey", seq)]


def test_only_entry_zero_and_rotations_bring_keys() -> None:
    ledger = grown()
    ledger.append("ledger.opened", {"vkey": STRANGER.vkey})
    assert verify(ledger.source()).clean
    assert codes(verify(ledger.source(), vkeys=[STRANGER.vkey])) == [("vkey", None)]
    seq = ledger.record_checkpoint(STRANGER)
    assert codes(verify(ledger.source())) == [("checkpoint-signature", seq)]


def test_the_old_key_signs_nothing_after_its_rotation() -> None:
    ledger = grown()
    ledger.append("key.rotated", {"vkey": NEW_SIGNER.vkey})
    ledger.record_checkpoint(SIGNER, NEW_SIGNER)
    seq = ledger.record_checkpoint(SIGNER)
    assert codes(verify(ledger.source())) == [("checkpoint-signature", seq)]


def test_the_ledger_id_comes_from_the_first_entry_when_the_source_claims_none() -> None:
    source = grown().source()
    source.id = None
    assert verify(source).ledger == LEDGER
    source.id = "f" * 32
    report = verify(source, level=1)
    assert codes(report)[:2] == [("other-ledger", 0), ("prev", 0)]


def test_findings_are_capped_and_all_of_them_counted() -> None:
    ledger = grown(tasks=FINDINGS_KEPT + 50)
    source = ledger.source()
    source.body_rows.clear()
    report = verify(source)
    assert len(report.findings) == FINDINGS_KEPT
    assert report.total == len(ledger.bodies)
    assert not report.clean


def test_a_source_that_breaks_off_gives_what_was_read() -> None:
    class Torn(MemorySource):
        def entries(self):  # type: ignore[no-untyped-def]
            yield from self.rows[:3]
            raise SourceFault(3, "the disk image is malformed")

    whole = grown().source()
    report = verify(Torn(whole.rows, whole.body_rows, whole.kept), level=1)
    assert codes(report) == [("unreadable", 3)]
    assert report.size == 3


def test_a_deeper_level_adds_to_a_report() -> None:
    report = verify(grown().source())
    deeper = report.deepened(
        4, [Finding("decision", 2, None, "task.started", "nothing")], counts={"decisions": 5}, holds=["x"]
    )
    assert (deeper.level, deeper.total, deeper.clean) == (4, 1, False)
    assert deeper.counts["decisions"] == 5
    assert deeper.counts["entries"] == 7
    assert deeper.holds[-1] == "x"
    assert deeper.findings[-1].code in CODES


@pytest.mark.parametrize("level", [0, 4, -1])
def test_a_level_that_is_not_made_here_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match="expected 1, 2 or 3"):
        verify(grown().source(), level=level)
