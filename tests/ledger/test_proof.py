"""The text of proofs: what is written is read again, and every other spelling is refused."""

import pytest

from forum_mcp.errors import NoteError
from forum_mcp.ledger import merkle
from forum_mcp.ledger.proof import format_growth, format_inclusion, parse_growth, parse_inclusion
from tests.ledger.building import grown

LEDGER = grown()
NOTE = LEDGER.signed()
HASHES = [bytes([number]) * 32 for number in range(3)]
TEXT = format_inclusion(4, HASHES, NOTE)


def test_a_proof_is_read_as_it_was_written() -> None:
    proof = parse_inclusion(TEXT)
    assert (proof.index, list(proof.hashes), proof.note) == (4, HASHES, NOTE)
    growth = parse_growth(format_growth(3, HASHES, NOTE))
    assert (growth.old_size, list(growth.hashes), growth.note) == (3, HASHES, NOTE)
    assert parse_inclusion(format_inclusion(0, [], NOTE)).hashes == ()


def test_extra_data_is_passed_over() -> None:
    assert parse_inclusion(TEXT.replace("\nindex", "\nextra aGVsbG8=\nindex")) == parse_inclusion(TEXT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("index 4", "index 04"),
        ("index 4", "index -4"),
        ("index 4", "index \u0664"),
        ("index 4", "index 4 "),
        ("index 4\n", ""),
        ("\nindex", "\nextra %%%\nindex"),
        ("=\n", "\n"),
        ("AQEB", "AQE"),
        ("\n\n", "\n"),
        ("c2sp", " c2sp"),
    ],
)
def test_another_spelling_is_refused(old: str, new: str) -> None:
    with pytest.raises(NoteError):
        parse_inclusion(TEXT.replace(old, new, 1))


def test_a_proof_with_more_hashes_than_any_tree_needs_is_refused() -> None:
    with pytest.raises(NoteError, match="64 hashes"):
        parse_inclusion(format_inclusion(0, [bytes(32)] * 64, NOTE))


@pytest.mark.parametrize("text", ["", "\n\n", "old\n\n", "old x\n\n", "old 1\nAA==\n\n", "index 1\n\n", "old 01\n\n"])
def test_no_growth_proof_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_growth(text)


def test_a_growth_proof_holds_by_the_merkle_room() -> None:
    leaves = LEDGER.leaves

    def node(level: int, index: int) -> bytes:
        return merkle.root(leaves[index << level : (index + 1) << level])

    hashes = merkle.consistency_proof(3, len(leaves), node)
    growth = parse_growth(format_growth(3, hashes, NOTE))
    old, new = merkle.root(leaves[:3]), merkle.root(leaves)
    assert merkle.verify_consistency(growth.old_size, len(leaves), growth.hashes, old, new)
