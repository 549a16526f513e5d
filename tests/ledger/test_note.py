import re
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forum_mcp.errors import NoteError
from forum_mcp.ledger import note

VECTORS = Path(__file__).parents[1] / "vectors"
SPECIFICATION = (VECTORS / "c2sp" / "signed-note.md").read_text("utf-8")
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
ALICE = note.Signer("alice.example/log", b"\x01" * 32)
BOB = note.Signer("bob.example", b"\x02" * 32)
TEXT = "first line\n\nafter an empty line\n"


def examples() -> list[str]:
    return [block for block in re.findall(r"```\n(.*?)```", SPECIFICATION, re.DOTALL) if "\n— " in block]


def test_the_signed_example_of_the_specification_verifies() -> None:
    signed = next(block for block in examples() if "example.com/foo" in block)
    assert EXAMPLE_KEY in SPECIFICATION
    opened = note.verify(signed, EXAMPLE_KEY)
    assert opened.text == "This is an example message.\n"
    assert [(line.name, line.key_id.hex(), line.verified) for line in opened.signatures] == [
        ("example.com/foo", "530d903a", True)
    ]


def test_every_example_of_the_specification_has_the_form_of_a_note() -> None:
    assert len(examples()) == 2
    poem = note.parse(examples()[0])
    assert poem.text.endswith("raggio di sole:\n\ned è subito sera.\n")
    assert poem.signatures[0].name == "quasimodo.example/salvatore"
    assert not poem.signatures[0].verified


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n")))
def test_what_was_signed_verifies_and_comes_back_unchanged(text: str) -> None:
    opened = note.verify(note.sign(text + "\n", ALICE, BOB), [BOB.vkey, ALICE.vkey])
    assert opened.text == text + "\n"
    assert [line.verified for line in opened.signatures] == [True, True]


def test_no_byte_of_a_note_can_change_without_being_noticed() -> None:
    signed = note.sign("abc\n", ALICE)
    for place in range(len(signed)):
        for other in ("x", "\n", " ", "="):
            changed = signed[:place] + other + signed[place + 1 :]
            if changed != signed:
                with pytest.raises(NoteError):
                    note.verify(changed, ALICE.vkey)


def test_an_unknown_key_is_passed_over_and_a_known_one_still_needed() -> None:
    signed = note.sign(TEXT, ALICE, BOB)
    opened = note.verify(signed, [BOB.vkey])
    assert [line.verified for line in opened.signatures] == [False, True]
    stranger = note.Signer("carol.example", b"\x03" * 32)
    with pytest.raises(NoteError, match="no known key signed this note"):
        note.verify(signed, [stranger.vkey])
    with pytest.raises(NoteError, match="0 verifier keys given"):
        note.verify(signed, [])


def test_a_bad_signature_of_a_known_key_refuses_the_note_beside_a_good_one() -> None:
    good, other = note.sign(TEXT, ALICE), note.sign("other\n", BOB)
    mixed = good + other.rpartition("\n\n")[2]
    assert note.verify(mixed, ALICE.vkey).text == TEXT
    with pytest.raises(NoteError, match=r"signature of 'bob\.example'"):
        note.verify(mixed, [ALICE.vkey, BOB.vkey])


def test_sharing_only_the_name_or_only_the_id_with_a_known_key_makes_no_known_key() -> None:
    signed = note.sign(TEXT, ALICE)
    namesake = note.Signer(ALICE.name, b"\x09" * 32)
    both = signed + note.sign(TEXT, namesake).rpartition("\n\n")[2]
    assert [line.verified for line in note.verify(both, ALICE.vkey).signatures] == [True, False]
    renamed = signed + signed.rpartition("\n\n")[2].replace(ALICE.name, "mallory.example")
    assert [line.verified for line in note.verify(renamed, ALICE.vkey).signatures] == [True, False]


def test_signatures_of_a_known_key_that_are_too_short_or_long_fail_without_a_crash() -> None:
    identifier = note.parse_vkey(ALICE.vkey).key_id
    for length in (1, 32, 63, 65, 5000):
        line = f"— {ALICE.name} {b64encode(identifier + bytes(length)).decode()}\n"
        with pytest.raises(NoteError, match="does not match"):
            note.verify(f"text\n\n{line}", ALICE.vkey)


def test_sixteen_signatures_are_accepted_and_a_thousand_are_not() -> None:
    signers = [note.Signer(f"key{number}.example", bytes([number]) * 32) for number in range(16)]
    assert note.verify(note.sign(TEXT, *signers), signers[15].vkey).signatures[15].verified
    line = note.sign(TEXT, ALICE).rpartition("\n\n")[2]
    with pytest.raises(NoteError, match="1000 signatures"):
        note.parse(TEXT + "\n" + line * 1000)


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "text without a newline",
        "text\n\n— alice.example AAAAAAA=",
        "text\n\n- alice.example AAAAAAA=\n",
        "text\n\n—alice.example AAAAAAA=\n",
        "text\n\n— alice.example\n",
        "text\n\n— alice.example \n",
        "text\n\n—  AAAAAAA=\n",
        "text\n\n— alice+example AAAAAAA=\n",
        "text\n\n— alice\u00a0example AAAAAAA=\n",
        "text\n\n— alice\u3000example AAAAAAA=\n",
        "text\n\n— alice.example AAAAAAA\n",
        "text\n\n— alice.example AAAAAAB=\n",
        "text\n\n— alice.example AAAAAA==\n",
        "text\n\n— alice.example AAAA_A-=\n",
        "text\n\n— alice.example AAAA AAA=\n",
        "text\n\n— alice.example AAAAAAA= \n",
        "text\n\n— alice.example AAAAAAA=\nrest\n",
        "tab\there\n\n— alice.example AAAAAAA=\n",
        "return\r\n\n— alice.example AAAAAAA=\n",
        "nul\0\n\n— alice.example AAAAAAA=\n",
        "surrogate\ud800\n\n— alice.example AAAAAAA=\n",
        "x" * 1_000_001 + "\n\n— alice.example AAAAAAA=\n",
    ],
    ids=lambda text: ascii(text)[:60],
)
def test_a_malformed_note_is_refused(broken: str) -> None:
    with pytest.raises(NoteError):
        note.parse(broken)
    with pytest.raises(NoteError):
        note.verify(broken, ALICE.vkey)


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "name",
        "name+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2kAA==",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
        "\ud800+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
    ids=lambda text: ascii(text)[:60],
)
def test_a_malformed_verifier_key_is_refused(broken: str) -> None:
    with pytest.raises(NoteError):
        note.parse_vkey(broken)
    with pytest.raises(NoteError):
        note.verify(note.sign(TEXT, ALICE), broken)


def test_a_verifier_key_is_the_one_its_parts_make() -> None:
    parsed = note.parse_vkey(EXAMPLE_KEY)
    assert note.vkey(parsed.name, parsed.public_key) == EXAMPLE_KEY
    assert parsed.key_id.hex() == "530d903a"
    with pytest.raises(NoteError, match="31 bytes"):
        note.vkey("name", b"x" * 31)


def test_a_signer_shows_its_name_and_never_its_seed() -> None:
    shown = repr(ALICE)
    assert ALICE.name in shown
    assert "x01" not in shown


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "nul\0\n", "\ud800\n"], ids=ascii)
def test_a_text_that_no_note_can_carry_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        note.sign(text, ALICE)
    with pytest.raises(NoteError):
        note.sign("text\n")
    with pytest.raises(NoteError):
        note.sign("text\n", note.Signer("a b", b"\x01" * 32))
