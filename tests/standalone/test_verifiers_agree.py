"""The verifier an auditor copies out and the one we ship: on damaged files both find the same, at the same place."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import pytest

from forum_mcp.ledger import note
from forum_mcp.ledger.entry import genesis_prev, leaf_hash
from tests.ledger.building import LEDGER, NEW_SIGNER, RUN, SIGNER, STRANGER, SmallLedger, grown
from tests.standalone.pair import Found, agreed, exported, lines_of, receipt_of, rich, standalone_path

Change = Callable[[list[bytes]], object]

LEDGER_ITSELF: Final = rich()
EXPORT: Final = exported(LEDGER_ITSELF)
KEPT: Final = (LEDGER_ITSELF.signed(NEW_SIGNER), LEDGER_ITSELF.signed(size=5))
RECEIPT: Final = receipt_of(LEDGER_ITSELF, [0, 1, 2, 3, 8, 10], NEW_SIGNER)


def of_export(lines: list[bytes], *, kept: tuple[str, ...] = KEPT) -> Found:
    return agreed(lines, kept=kept, vkeys=[NEW_SIGNER.vkey])


def of_receipt(lines: list[bytes]) -> Found:
    return agreed(lines, kept=KEPT[:1], vkeys=[NEW_SIGNER.vkey], is_receipt=True)


def places(found: Found) -> set[tuple[str, int | None]]:
    return {(code, seq) for code, seq, _ in found}


def test_what_is_whole_is_clean_for_both_at_every_level() -> None:
    for level in (1, 2, 3):
        assert agreed(EXPORT, kept=KEPT, vkeys=[SIGNER.vkey], level=level) == set()
        assert agreed(RECEIPT, kept=KEPT[:1], vkeys=[NEW_SIGNER.vkey], level=level, is_receipt=True) == set()


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("is_receipt", [False, True])
def test_every_flipped_byte_is_found_by_both_or_changes_nothing(
    level: int, is_receipt: bool, rounds: int | None
) -> None:
    lines = RECEIPT if is_receipt else EXPORT
    whole = b"".join(lines)
    chance = random.Random(os.environ.get("FORUM_TEST_SEED", "1"))
    sample = range(len(whole)) if rounds else sorted(chance.sample(range(len(whole)), 250))
    for place in sample:
        for _ in range(rounds or 1):
            changed = bytearray(whole)
            changed[place] ^= chance.choice([0x01, 0x02, 0x20, 0x80, chance.randrange(1, 256)])
            found = agreed(
                lines_of(bytes(changed)),
                kept=KEPT[:1],
                vkeys=[NEW_SIGNER.vkey],
                level=level,
                is_receipt=is_receipt,
            )
            assert found or level < 3 or place == len(whole) - 1, (place, changed[max(0, place - 40) : place + 40])


@pytest.mark.parametrize("is_receipt", [False, True])
def test_every_line_dropped_doubled_or_swapped_is_found_by_both(is_receipt: bool) -> None:
    lines, find = (RECEIPT, of_receipt) if is_receipt else (EXPORT, of_export)
    for place in range(len(lines)):
        dropped = [*lines[:place], *lines[place + 1 :]]
        # A receipt says nothing of the bodies that it leaves out, an export nothing of checkpoints beside its entries.
        spare = b'"t":"body"' if is_receipt else b'"t":"checkpoint"'
        assert find(dropped) or spare in lines[place], place
        assert find([*lines[:place], lines[place], *lines[place:]]) or b'"t":"checkpoint"' in lines[place], place
        for other in range(place):
            swapped = list(lines)
            swapped[place], swapped[other] = swapped[other], swapped[place]
            both = {json.loads(lines[place])["t"], json.loads(lines[other])["t"]}
            assert find(swapped) or both == {"body"}, (place, other)


@pytest.mark.parametrize("is_receipt", [False, True])
def test_every_cut_is_found_by_both(is_receipt: bool, rounds: int | None) -> None:
    lines, find = (RECEIPT, of_receipt) if is_receipt else (EXPORT, of_export)
    whole = b"".join(lines)
    ends = {len(b"".join(lines[:count])) for count in range(len(lines) + 1)}
    for stop in range(0, len(whole), 1 if rounds else 23):
        found = find(lines_of(whole[:stop]))
        # What a receipt holds up to the end of a line is whole by itself; an export may do without its last checkpoint.
        spare = ends if is_receipt else {len(whole), len(b"".join(lines[:-1]))}
        assert found or stop in spare or stop + 1 in spare, stop


def test_every_character_of_a_proof_counts_for_both() -> None:
    text = json.loads(RECEIPT[2])["text"]
    for place, character in enumerate(text):
        for other in {"", "A", "\n", " ", "=", "."} - {character}:
            lines = list(RECEIPT)
            edited(2, text=text[:place] + other + text[place + 1 :])(lines)
            assert of_receipt(lines), (place, other)


def test_an_older_backup_and_a_cut_tail_are_found_from_a_kept_checkpoint() -> None:
    ledger = grown(2)
    older = exported(ledger)
    ledger.append("task.finished", {"t_ms": 3}, parents=[1], run=RUN)
    kept = ledger.signed()
    assert agreed(older, vkeys=[SIGNER.vkey]) == set()
    assert places(agreed(older, kept=[kept], vkeys=[SIGNER.vkey])) == {("checkpoint-beyond-tail", None)}
    cut = [line for line in exported(ledger) if b'\\"seq\\":6' not in line]
    assert ("checkpoint-beyond-tail", None) in places(agreed(cut, kept=[kept], vkeys=[SIGNER.vkey]))


def test_a_chain_rewritten_with_the_key_is_found_by_a_kept_checkpoint_only() -> None:
    forged = grown(2)
    honest = forged.signed()
    rewritten = grown(3)
    lines = exported(rewritten)
    assert agreed(lines, vkeys=[SIGNER.vkey]) == set()
    assert places(agreed(lines, kept=[honest], vkeys=[SIGNER.vkey])) == {("checkpoint-root", None)}


def test_a_chain_rewritten_without_the_key_is_found() -> None:
    lines = exported(grown(3))
    forger = note.Signer(STRANGER.name, STRANGER.seed)
    lines[-1] = json.dumps({"t": "checkpoint", "note": grown(3).signed(forger)}).encode()
    assert places(agreed(lines, vkeys=[SIGNER.vkey])) == {("checkpoint-signature", None)}


def test_two_ledgers_spliced_are_found() -> None:
    other = SmallLedger()
    other.append("run.started", {"t_ms": 5}, {"request": ("text/plain", b"another")}, run=RUN)
    mixed = [*EXPORT[:2], exported(other)[2], *EXPORT[3:]]
    assert ("prev", 2) in places(of_export(mixed))
    assert ("checkpoint-root", None) in places(of_export(mixed))


def edited(place: int, **members: object) -> Change:
    def change(lines: list[bytes]) -> None:
        lines[place] = json.dumps(cast("dict[str, object]", json.loads(lines[place])) | members).encode() + b"\n"

    return change


def entry_text(old: str, new: str, seq: int = 2) -> Change:
    def change(lines: list[bytes]) -> None:
        text = json.loads(lines[seq + 1])["bytes"]
        assert old in text
        lines[seq + 1] = json.dumps({"t": "entry", "bytes": text.replace(old, new, 1)}).encode()

    return change


DEEP: Final = "[" * 70 + "]" * 70
ENTRY_DAMAGE: Final[dict[str, tuple[str, str, str]]] = {
    "a member twice": ('"v":1', '"v":1,"v":1', "not-canonical"),
    "a member twice inside data": ('"n":1', '"n":1,"n":1', "not-canonical"),
    "a float": ('"n":1', '"n":1.5', "not-canonical"),
    "an integer as a float": ('"n":1', '"n":1.0', "not-canonical"),
    "an exponent": ('"n":1', '"n":1e2', "not-canonical"),
    "an infinite number": ('"n":1', '"n":1e999', "unreadable"),
    "NaN": ('"n":1', '"n":NaN', "unreadable"),
    "minus zero": ('"n":1', '"n":-0', "not-canonical"),
    "a leading zero": ('"n":1', '"n":01', "unreadable"),
    "a big integer": ('"n":1', '"n":9007199254740992', "not-canonical"),
    "a huge integer": ('"n":1', f'"n":{10**400}', "not-canonical"),
    "an integer nobody reads": ('"n":1', f'"n":1{"0" * 5000}', "unreadable"),
    "a name that is not ASCII": ('"n":1', '"\u00fc":1', "not-canonical"),
    "a lone surrogate": ('"n":1', '"n":"\\ud800"', "unreadable"),
    "a lone surrogate in a name": ('"n":1', '"\\udc00":1', "unreadable"),
    "an escape too many": ('"n":1', '"n":"\\u0041"', "not-canonical"),
    "a space": ('"n":1', '"n": 1', "not-canonical"),
    "another order": ('"n":1,"t_ms":0', '"t_ms":0,"n":1', "not-canonical"),
    "too deep": ('"n":1', f'"n":{DEEP}', "not-canonical"),
    "far too deep": ('"n":1', f'"n":{"[" * 20000}{"]" * 20000}', "unreadable"),
    "too large": ('"n":1', f'"n":"{"x" * 70000}"', "too-large"),
    "a control character": ('"n":1', '"n":"\\u0007"', "not-canonical-or-fine"),
    "a member too many": ('"v":1', '"v":1,"w":1', "member"),
    "another version": ('"v":1', '"v":2', "version"),
    "another version and another shape": ('"v":1', '"v":2,"w":1', "version"),
    "a member of another type": ('"v":1', '"v":true', "member"),
    "a seq that is no integer": ('"seq":2', '"seq":2.0', "member"),
    "a seq beyond 64 bits": ('"seq":2', f'"seq":{2**70}', "seq"),
    "a parent of itself": ('"parents":[1]', '"parents":[2]', "parents"),
    "a parent twice": ('"parents":[1]', '"parents":[1,1]', "parents"),
    "a parent that is text": ('"parents":[1]', '"parents":["1"]', "member"),
    "a kind in capitals": ('"task.finished"', '"task.Finished"', "member"),
    "no actor": ('"engine"', '""', "member"),
    "a type in capitals": ('"text/plain"', '"Text/plain"', "body-ref"),
    "a size below nothing": ('"size":8', '"size":-8', "body-ref"),
    "a run that is none": (f'"{RUN}"', '"x"', "member"),
    "another ledger": (f'"ledger":"{LEDGER}"', f'"ledger":"{"9" * 32}"', "other-ledger"),
    "a link in capitals": ('"prev":"', '"prev":"A', "prev"),
    "a list": ("{", "[{", "unreadable"),
}


@pytest.mark.parametrize("name", ENTRY_DAMAGE)
def test_an_entry_that_is_not_what_it_should_be_has_the_same_code_in_both(name: str) -> None:
    old, new, code = ENTRY_DAMAGE[name]
    lines = list(EXPORT)
    entry_text(old, new)(lines)
    found = of_export(lines)
    assert (code, 2) in places(found) or code == "not-canonical-or-fine"
    assert found
    lines = list(RECEIPT)
    place = next(at for at, line in enumerate(lines) if b'\\"seq\\":2,' in line) - 1
    entry_text(old, new, place)(lines)
    assert of_receipt(lines)


def test_bodies_are_found_in_each_of_their_bad_states() -> None:
    body = next(at for at, line in enumerate(EXPORT) if b'"t":"body"' in line)
    commit = json.loads(EXPORT[body])["commit"]
    salt = json.loads(EXPORT[body])["salt"]
    states: list[tuple[Change, str]] = [
        (edited(body, salt="0" * 64), "body-mismatch"),
        (edited(body, salt=salt.upper()), "unreadable"),
        (edited(body, salt=salt + "00"), "body-mismatch"),
        (edited(body, type="text/html"), "body-mismatch"),
        (edited(body, type="text/\u00fc"), "body-mismatch"),
        (edited(body, bytes="AAAA"), "body-mismatch"),
        (edited(body, bytes="AAAB="), "unreadable"),
        (edited(body, commit="0" * 64), "body-unreferenced"),
        (edited(body, commit=commit.upper()), "body-mismatch"),
        (lambda lines: lines.pop(body), "body-missing"),
    ]
    for change, code in states:
        lines = list(EXPORT)
        change(lines)
        assert code in {found for found, _, _ in of_export(lines)}, code
    redacted = rich()
    commit = next(iter(redacted.bodies))
    row = redacted.bodies[commit]
    redacted.redact(commit)
    redacted.bodies[commit] = row
    assert ("body-redacted-but-present", commit) in {(code, body) for code, _, body in agreed(exported(redacted))}


@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_small_order_keys_and_odd_heads_bring_both_to_the_same_findings(place: int) -> None:
    heads: list[dict[str, object]] = [
        {"vkey": None},
        {"vkey": [SIGNER.vkey, 1]},
        {"vkey": "nonsense"},
        {"size": -1, "format": "forum-export/v2", "ledger": "", "extra": place},
    ]
    lines = list(EXPORT)
    edited(0, **heads[place - 1])(lines)
    of_export(lines)
    lines = list(RECEIPT)
    edited(0, **heads[place - 1])(lines)
    of_receipt(lines)


def test_a_rotation_without_both_signatures_is_found() -> None:
    ledger = grown(1)
    seq = ledger.append("key.rotated", {"vkey": NEW_SIGNER.vkey})
    ledger.record_checkpoint(NEW_SIGNER)
    assert places(agreed(exported(ledger), vkeys=[SIGNER.vkey])) == {("vkey", seq)}


def test_genesis_is_bound_to_the_ledger_id() -> None:
    assert json.loads(json.loads(EXPORT[1])["bytes"])["prev"] == genesis_prev(LEDGER)
    assert json.loads(json.loads(EXPORT[2])["bytes"])["prev"] == leaf_hash(LEDGER_ITSELF.raws[0]).hex()


def test_the_copied_file_runs_by_itself_with_its_exit_codes(tmp_path: Path) -> None:
    copy = tmp_path / "auditor.py"
    copy.write_bytes(standalone_path().read_bytes())

    def run(*arguments: str | Path) -> int:
        done = subprocess.run(
            [sys.executable, "-I", "-W", "error", str(copy), *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode

    (tmp_path / "export.jsonl").write_bytes(b"".join(EXPORT))
    (tmp_path / "receipt.jsonl").write_bytes(b"".join(RECEIPT))
    (tmp_path / "kept.txt").write_text(KEPT[0], encoding="utf-8")
    (tmp_path / "junk").write_bytes(os.urandom(3000))
    for name in ("export.jsonl", "receipt.jsonl"):
        assert run(name) == 0
        assert run(name, "--vkey", NEW_SIGNER.vkey, "--checkpoint", "kept.txt", "--level", "3") == 0
        assert run(name, "--vkey", STRANGER.vkey) == 1
        assert run(name, "--checkpoint", "junk") == 1
    assert run("junk") == 1
    assert run("export.jsonl", "--level", "4") == 2
    assert run("nowhere") == 3


def test_the_standalone_file_is_short_and_imports_the_standard_library_alone() -> None:
    import ast

    text = standalone_path().read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    named: set[str] = set()
    for item in ast.walk(ast.parse(text)):
        if isinstance(item, ast.Import):
            named |= {alias.name for alias in item.names}
        elif isinstance(item, ast.ImportFrom):
            named.add(str(item.module))
    assert {name.partition(".")[0] for name in named} <= sys.stdlib_module_names


@pytest.mark.parametrize("vkey", [None, SIGNER.vkey])
def test_an_export_of_no_entry_is_clean_for_neither(vkey: str | None) -> None:
    head = {"t": "head", "format": "forum-export/v1", "ledger": LEDGER, "size": 0, "vkey": vkey}
    for level in (1, 2, 3):
        assert agreed([json.dumps(head).encode()], level=level) == {("unreadable", None, None)}
    signed = json.dumps({"t": "checkpoint", "note": SmallLedger(opened=False).signed()}).encode()
    assert ("unreadable", None, None) in agreed([json.dumps(head).encode(), signed])


@pytest.mark.parametrize("depth", [1, 63, 64, 65, 126, 127, 128, 129, 300, 500, 900, 990, 1_000, 3_000, 30_000])
@pytest.mark.parametrize("member", ["data", "parents", "bodies", "v"])
def test_deep_nesting_is_the_same_fault_for_both_whatever_the_interpreter_bears(depth: int, member: str) -> None:
    # Brackets inside of strings are none; an unclosed string, or closing brackets alone, must not mislead the count.
    for deep in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth, '["]",' * depth + "[]"):
        for lines, find in ((list(EXPORT), of_export), (list(RECEIPT), of_receipt)):
            place = [number for number, raw in enumerate(lines) if b'"t":"entry"' in raw][2]
            line = json.loads(lines[place])
            at = line["bytes"].index(f'"{member}":')
            if member == "data":
                line["bytes"] = line["bytes"].replace('"data":{', '"data":{"a":' + deep + ",", 1)
            else:
                line["bytes"] = line["bytes"][:at] + f'"{member}":{deep},' + line["bytes"][at:]
            lines[place] = json.dumps(line).encode()
            assert find(lines), (depth, deep[:10])


@pytest.mark.parametrize("depth", [10, 200, 2_000])
def test_deep_nesting_of_a_line_itself_is_the_same_fault_for_both(depth: int) -> None:
    for member in ("t", "bytes", "vkey", "size", "x"):
        for place in (0, 1, len(EXPORT) - 1):
            lines = list(EXPORT)
            lines[place] = lines[place].rstrip(b"}\n") + f',"{member}":'.encode() + b"[" * depth + b"]" * depth + b"}\n"
            assert of_export(lines)


@pytest.mark.parametrize(
    "text", ["]" * 200, '"' + "[" * 200, "\\" * 300 + '"[[', '"\\', "[" * 129 + '"', "[" * 128 + "\\"]
)
def test_odd_texts_in_place_of_an_entry_are_the_same_fault_for_both(text: str) -> None:
    for lines, find in ((list(EXPORT), of_export), (list(RECEIPT), of_receipt)):
        edited(1, bytes=text)(lines)
        assert find(lines)


def test_a_checkpoint_whose_entry_misstates_its_body_still_vouches_for_a_key_with_both() -> None:
    place = next(number for number, raw in enumerate(EXPORT) if b"key.rotated" in raw) + 1
    for plain, changed in (("text/plain", "tExt/plain"), ('"size":389', '"size":388')):
        lines = list(EXPORT)
        text = json.loads(lines[place])["bytes"]
        assert plain in text
        edited(place, bytes=text.replace(plain, changed))(lines)
        assert "vkey" not in {code for code, _, _ in of_export(lines)}
