import base64
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forum_mcp.ledger import merkle

VECTORS = Path(__file__).parents[1] / "vectors" / "merkle-inclusion"
INCLUSION = sorted(path.relative_to(VECTORS).as_posix() for path in VECTORS.rglob("*.json"))


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, written as the RFC writes it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def leaves_of(count: int) -> list[bytes]:
    return [sha256(b"\x00leaf %d" % number).digest() for number in range(count)]


def reader(leaves: list[bytes], reads: list[tuple[int, int]] | None = None) -> Callable[[int, int], bytes]:
    """A reader of complete subtrees that refuses every other node."""

    def node(level: int, index: int) -> bytes:
        if reads is not None:
            reads.append((level, index))
        start, stop = index << level, (index + 1) << level
        assert 0 <= start < stop <= len(leaves), f"node {level}/{index} is not complete"
        return naive_root(leaves[start:stop])

    return node


def test_there_are_ninety_eight_inclusion_vectors() -> None:
    assert len(INCLUSION) == 98


@pytest.mark.parametrize("name", INCLUSION)
def test_an_inclusion_vector_of_others_is_judged_as_they_judge_it(name: str) -> None:
    case = json.loads((VECTORS / name).read_text())
    proof = [base64.b64decode(text) for text in cast("list[str]", case["proof"] or [])]
    root, leaf = base64.b64decode(case["root"] or ""), base64.b64decode(case["leafHash"] or "")
    accepted = merkle.verify_inclusion(case["leafIdx"], case["treeSize"], leaf, proof, root)
    assert accepted is not case["wantErr"], case["desc"]


@pytest.mark.parametrize("count", range(34))
def test_every_way_to_a_root_gives_the_root_of_the_rfc(count: int) -> None:
    leaves = leaves_of(count)
    frontier = merkle.Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    assert merkle.root(leaves) == frontier.root() == naive_root(leaves)
    assert merkle.root_from_nodes(count, reader(leaves)) == naive_root(leaves)
    assert frontier.size == count


def test_a_doubled_odd_last_leaf_changes_the_root() -> None:
    for count in (1, 3, 5, 7, 9, 13):
        leaves = leaves_of(count)
        assert merkle.root(leaves) != merkle.root([*leaves, leaves[-1]])


def test_the_nodes_completed_by_each_leaf_are_all_complete_nodes_once() -> None:
    leaves = leaves_of(21)
    stored: dict[tuple[int, int], bytes] = {}

    frontier = merkle.Frontier()
    for seq, leaf in enumerate(leaves):
        for level, value in enumerate(frontier.append(leaf), 1):
            assert (level, seq >> level) not in stored
            stored[level, seq >> level] = value
    expected = {(level, index) for level in range(1, 5) for index in range(21 >> level)}
    assert stored.keys() == expected
    assert all(value == reader(leaves)(level, index) for (level, index), value in stored.items())


@pytest.mark.parametrize("size", range(1, 20))
def test_every_inclusion_proof_verifies_at_its_own_place_only(size: int) -> None:
    leaves = leaves_of(size)
    root = naive_root(leaves)
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, reader(leaves))
        for claimed in range(size):
            for leaf in range(size):
                right = claimed == index == leaf
                assert merkle.verify_inclusion(claimed, size, leaves[leaf], proof, root) is right
        assert not merkle.verify_inclusion(index, size, leaves[index], [*proof, root], root)
        assert not proof or not merkle.verify_inclusion(index, size, leaves[index], proof[:-1], root)


@pytest.mark.parametrize("new_size", range(1, 20))
def test_every_consistency_proof_verifies_for_its_own_sizes_only(new_size: int) -> None:
    leaves = leaves_of(new_size)
    new_root = naive_root(leaves)
    for old_size in range(1, new_size + 1):
        proof = merkle.consistency_proof(old_size, new_size, reader(leaves))
        for claimed in range(new_size + 1):
            old_root = naive_root(leaves[:claimed])
            accepted = merkle.verify_consistency(claimed, new_size, proof, old_root, new_root)
            assert accepted is (claimed == old_size)
        rewritten = naive_root([sha256(b"other").digest(), *leaves[1:old_size]])
        assert not merkle.verify_consistency(old_size, new_size, proof, rewritten, new_root)
        assert not merkle.verify_consistency(
            old_size, new_size, [*proof, new_root], naive_root(leaves[:old_size]), new_root
        )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_proofs_over_any_tree_agree_with_the_root_of_the_rfc(data: st.DataObject) -> None:
    leaves = data.draw(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70))
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    old_size = data.draw(st.integers(1, size))
    root = naive_root(leaves)
    inclusion = merkle.inclusion_proof(index, size, reader(leaves))
    consistency = merkle.consistency_proof(old_size, size, reader(leaves))
    old_root = naive_root(leaves[:old_size])
    assert merkle.verify_inclusion(index, size, leaves[index], inclusion, root)
    assert merkle.verify_consistency(old_size, size, consistency, old_root, root)
    bit = data.draw(st.integers(0, 255))
    for damaged in damaged_at_each_place(inclusion, bit):
        assert not merkle.verify_inclusion(index, size, leaves[index], damaged, root)
    for damaged in damaged_at_each_place(consistency, bit):
        assert not merkle.verify_consistency(old_size, size, damaged, old_root, root)


def damaged_at_each_place(proof: list[bytes], bit: int) -> Iterator[list[bytes]]:
    """Yield the proof with one bit flipped in its first hash, then in its second, and so on."""
    for place, value in enumerate(proof):
        flipped = (int.from_bytes(value, "big") ^ (1 << bit)).to_bytes(32, "big")
        yield [*proof[:place], flipped, *proof[place + 1 :]]


def test_a_proof_in_a_large_tree_reads_few_nodes() -> None:
    size = 1_000_003
    reads: list[tuple[int, int]] = []

    def node(level: int, index: int) -> bytes:
        assert (index + 1) << level <= size
        reads.append((level, index))
        return sha256(b"%d/%d" % (level, index)).digest()

    merkle.inclusion_proof(654_321, size, node)
    merkle.consistency_proof(654_321, size, node)
    merkle.root_from_nodes(size, node)
    assert len(reads) <= 6 * 20


def test_sizes_zero_and_zero_match_only_the_empty_root() -> None:
    empty, other = merkle.EMPTY_ROOT, sha256(b"x").digest()
    assert merkle.verify_consistency(0, 0, [], empty, empty)
    assert not merkle.verify_consistency(0, 0, [], other, other)
    assert not merkle.verify_consistency(0, 0, [empty], empty, empty)
    assert not merkle.verify_consistency(0, 1, [], empty, other)
    assert not merkle.verify_consistency(0, 1, [other], empty, other)
    assert merkle.consistency_proof(0, 0, reader([])) == []


def test_equal_sizes_need_an_empty_proof_and_equal_roots() -> None:
    root, other = sha256(b"a").digest(), sha256(b"b").digest()
    assert merkle.verify_consistency(5, 5, [], root, root)
    assert not merkle.verify_consistency(5, 5, [], root, other)
    assert not merkle.verify_consistency(5, 5, [root], root, root)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        True,
        -1,
        1.0,
        "1",
        b"",
        b"x" * 31,
        b"x" * 33,
        bytearray(32),
        "x" * 32,
        [],
        [b"x" * 31],
        [None],
        2**70,
        pytest.param(object(), id="object"),
    ],
    ids=repr,
)
def test_a_wrong_argument_is_false_and_never_an_exception(wrong: object) -> None:
    leaves = leaves_of(2)
    root, proof = naive_root(leaves), [leaves[1]]
    good: list[object] = [0, 2, leaves[0], proof, root]
    assert merkle.verify_inclusion(*good) is True  # type: ignore[arg-type]
    for place in range(5):
        bad = [*good[:place], wrong, *good[place + 1 :]]
        assert merkle.verify_inclusion(*bad) is False  # type: ignore[arg-type]
    consistent: list[object] = [1, 2, proof, leaves[0], root]
    assert merkle.verify_consistency(*consistent) is True  # type: ignore[arg-type]
    for place in range(5):
        bad = [*consistent[:place], wrong, *consistent[place + 1 :]]
        if not (place == 0 and wrong is True):
            assert merkle.verify_consistency(*bad) is False  # type: ignore[arg-type]
    assert merkle.verify_consistency(True, 2, proof, leaves[0], root) is False


def test_a_proof_that_cannot_exist_is_refused_with_the_sizes_named() -> None:
    with pytest.raises(ValueError, match="no entry 3 in a tree of size 3"):
        merkle.inclusion_proof(3, 3, reader(leaves_of(3)))
    with pytest.raises(ValueError, match="from size 0 to 3"):
        merkle.consistency_proof(0, 3, reader(leaves_of(3)))
    with pytest.raises(ValueError, match="from size 4 to 3"):
        merkle.consistency_proof(4, 3, reader(leaves_of(3)))
