"""Signatures of third parties on a checkpoint, and checkpoints put where somebody else keeps them."""

import subprocess
import sys
from pathlib import Path

import pytest

from forum_mcp.engine.custody import rotate_key
from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.engine.receipts import verify_receipt
from forum_mcp.engine.witnessing import anchor_command, anchor_file, anchor_git, cosign, cosignatures
from forum_mcp.errors import CheckpointRefused, NoteError, RequestRefused
from forum_mcp.ledger import note
from forum_mcp.ledger.cosignature import parse_witness
from forum_mcp.ledger.entry import NewBody
from tests.ledger.witness import NAME, VKEY, key_of, witnessed


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger.open(tmp_path / "ledger.db")
    for n in range(5):
        ledger.append("x.noted", actor="test", data={"n": n})
    return ledger


def test_a_cosigned_checkpoint_is_kept_and_checked_again_when_shown(ledger: Ledger) -> None:
    with ledger:
        signed = witnessed(ledger.checkpoint())
        ledger.append("x.noted", actor="test")
        entry = cosign(ledger, signed, [VKEY])
        assert (entry.kind, entry.data) == ("checkpoint.cosigned", {"size": 6, "witnesses": [NAME]})
        assert ledger.body(str(entry.bodies["note"]["commit"])).data.decode() == signed
        (view,) = cosignatures(ledger, [VKEY])
        assert (view.size, view.witnesses, view.unknown, view.fault) == (6, {NAME: 1_700_000_000}, [], None)
        (stranger,) = cosignatures(ledger)
        assert (stranger.witnesses, stranger.unknown) == ({}, [NAME]), "without its key nothing is said of a witness"
        rotate_key(ledger)
        assert cosignatures(ledger, [VKEY])[0].fault is None, "the old key signed it while it was in force"
        assert ledger.verify(3, signed).clean


def test_verify_checks_what_the_named_witnesses_signed_and_says_who_signed_nothing(
    ledger: Ledger, tmp_path: Path
) -> None:
    absent = note.Signer("absent.example", b"x" * 32).vkey
    with ledger:
        kept = ledger.checkpoint()
        cosign(ledger, witnessed(kept), [VKEY])
        for n in range(2_000):  # so many that the root of the cosigned size is not at hand any more
            ledger.append("x.noted", actor="test", data={"n": n})
        view = ledger.verify(witnesses=[VKEY, absent])
        assert view.clean
        assert (
            f"witness: {NAME} signed a checkpoint over the first 6 entries at 2023-11-14T22:13:20+00:00" in view.holds
        )
        assert "witness: no checkpoint known here is signed by absent.example" in view.not_protected
        assert view.counts["witnesses"] == 1
        export = tmp_path / "export.jsonl"
        export.write_bytes(b"".join(ledger.export()))
        assert verify_path(export, witnesses=[VKEY]).counts["witnesses"] == 1
        newer = witnessed(ledger.checkpoint(), time_s=2**64 - 1)
        (told,) = [line for line in ledger.verify(3, newer, witnesses=[VKEY]).holds if line.startswith("witness")]
        assert told.endswith(f"the first {ledger.size} entries at {2**64 - 1} seconds since 1970")
        assert "witnesses" not in ledger.verify().counts
        (finding,) = ledger.verify(witnesses=["rubbish"]).findings
        assert (finding.code, finding.seq) == ("vkey", None)


def test_a_cosignature_that_does_not_hold_is_a_finding_of_verify(ledger: Ledger) -> None:
    with ledger:
        whole = witnessed(ledger.checkpoint())
        broken = whole[:-20] + ("A" if whole[-20] != "A" else "B") + whole[-19:]
        entry = cosign(ledger, broken)  # nobody's key is known: the signature is kept unchecked
        (finding,) = ledger.verify(witnesses=[VKEY]).findings
        assert (finding.code, finding.seq) == ("checkpoint-signature", entry.seq)
        assert NAME in finding.expected
        assert ledger.verify().clean


@pytest.mark.parametrize("kind", ["checkpoint.cosigned", "checkpoint.anchored"])
def test_every_checkpoint_on_record_is_checked_whatever_brought_it_there(
    ledger: Ledger, tmp_path: Path, kind: str
) -> None:
    with ledger, Ledger.open(tmp_path / "other" / "ledger.db") as other:
        foreign = NewBody("text/plain; charset=utf-8", other.checkpoint().encode())
        entry = ledger.append(kind, actor="test", data={"size": 1}, bodies={"note": foreign})
        (finding,) = ledger.verify().findings
        assert (finding.code, finding.seq) == ("checkpoint-origin", entry.seq)


def test_a_receipt_tells_who_witnessed_its_checkpoint(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "receipt.jsonl"
    with ledger:
        file.write_bytes(b"".join(ledger.receipt([2])))
        kept = witnessed(ledger.checkpoint())
    assert verify_receipt(file, 3, kept, witnesses=[VKEY]).holds[-1].startswith(f"witness: {NAME} signed")
    assert verify_receipt(file, 3, witnesses=[VKEY]).not_protected[-1].endswith(NAME)


def test_a_plain_note_signature_of_a_third_party_counts_too(ledger: Ledger) -> None:
    with ledger:
        other = note.Signer(NAME, b"w" * 32)
        text = ledger.checkpoint()
        line = note.sign(note.parse(text).text, other).rpartition("\n\n")[2]
        assert cosign(ledger, text + line, [key_of(b"\x01")[0]]).data["witnesses"] == [NAME]
        assert cosignatures(ledger, [other.vkey])[0].witnesses == {NAME: None}


def test_what_is_no_cosigned_checkpoint_of_this_ledger_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    with ledger, Ledger.open(tmp_path / "other" / "ledger.db") as other:
        text = ledger.checkpoint()
        size = ledger.size
        with pytest.raises(RequestRefused, match="ledger alone"):
            cosign(ledger, text)
        whole = witnessed(text)
        broken = whole[:-20] + ("A" if whole[-20] != "A" else "B") + whole[-19:]
        with pytest.raises(NoteError, match="witness"):
            cosign(ledger, broken, [VKEY])
        with pytest.raises(NoteError):
            cosign(ledger, witnessed(other.checkpoint()), [VKEY])
        stranger = parse_witness(VKEY)
        assert stranger.name == NAME
        with pytest.raises(RequestRefused, match="none of the known"):
            cosign(ledger, witnessed(text), [note.Signer("another.example", b"x" * 32).vkey])
        for bad in ("", "a+b+c", VKEY[:-4], VKEY.replace("+", "+0", 1)):
            with pytest.raises(NoteError):
                cosign(ledger, witnessed(text), [bad])
        assert ledger.size == size


def test_a_cosigned_checkpoint_from_before_a_rollback_is_refused_and_says_what_it_proves(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test")
    before = path.read_bytes()
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test")
        signed = witnessed(ledger.checkpoint())
    path.write_bytes(before)
    with Ledger.open(path) as ledger:
        with pytest.raises(CheckpointRefused, match="older copy"):
            cosign(ledger, signed, [VKEY])
        ledger.append("x.other", actor="test")
        with pytest.raises(CheckpointRefused, match="rewritten"):
            cosign(ledger, signed, [VKEY])


def test_a_checkpoint_is_anchored_in_a_file_that_no_rewritten_history_replaces(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "kept.txt"
    with ledger:
        entry = anchor_file(ledger, file)
        assert (entry.kind, entry.data["size"], entry.data["by"]) == ("checkpoint.anchored", 6, "file")
        assert ledger.verify(3, file.read_text()).clean
        anchor_file(ledger, file)
        kept = file.read_text()
        assert ledger.verify(3, kept).clean
        file.write_text("shopping list")
        with pytest.raises(RequestRefused, match="something else"):
            anchor_file(ledger, file)
        assert file.read_text() == "shopping list"
        with pytest.raises(RequestRefused, match="cannot be written"):
            anchor_file(ledger, tmp_path / "nowhere" / "kept.txt")
        assert not list(tmp_path.glob(".*"))


def test_a_checkpoint_is_anchored_in_git_as_a_tag_or_a_note(ledger: Ledger, tmp_path: Path) -> None:
    place = tmp_path / "repository"

    def git(*words: str) -> str:
        config = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
        return subprocess.run(["git", *config, *words], cwd=place, capture_output=True, text=True, check=True).stdout

    place.mkdir()
    git("init", "--quiet")
    git("config", "user.name", "Test")
    git("config", "user.email", "test@example.invalid")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    with ledger:
        assert anchor_git(ledger, "tag:ledger-1", place).data["where"] == "tag:ledger-1"
        tagged = git("cat-file", "tag", "ledger-1").partition("\n\n")[2]
        assert ledger.verify(3, tagged).clean
        anchor_git(ledger, "notes", place)
        assert ledger.verify(3, git("notes", "--ref=forum-mcp", "show", "HEAD")).clean
        size = ledger.size
        for bad in ("tag:", "tag:--all", "branch:x", "", "notes:--x"):
            with pytest.raises(RequestRefused, match="expected tag:NAME"):
                anchor_git(ledger, bad, place)
        with pytest.raises(RequestRefused, match="ended with"):
            anchor_git(ledger, "tag:ledger-1", place)
        assert ledger.size == size


def test_a_checkpoint_is_handed_to_a_command_and_only_a_success_is_recorded(ledger: Ledger, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    code = f"import sys, pathlib; pathlib.Path({str(keep)!r}).write_text(sys.stdin.read())"
    with ledger:
        entry = anchor_command(ledger, f'"{sys.executable}" -c "{code}" --token hunter2', tmp_path)
        assert entry.data["where"] == Path(sys.executable).name, "arguments may hold a secret"
        assert ledger.verify(3, keep.read_text()).clean
        size = ledger.size
        for bad in ("false", "", "'", str(tmp_path / "none")):
            with pytest.raises(RequestRefused):
                anchor_command(ledger, bad, tmp_path)
        assert ledger.size == size
