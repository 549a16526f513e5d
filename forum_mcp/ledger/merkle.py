"""The Merkle tree of RFC 6962 section 2.1 and the proofs of RFC 9162 sections 2.1.3 and 2.1.4, over SHA-256.

A leaf hash is ``SHA-256(0x00 || entry)`` (``entry.leaf_hash``), an inner node ``SHA-256(0x01 || left ||
right)``. A tree whose size is no power of two promotes its last node; nothing is ever doubled. Every hash
is 32 bytes.

Readers of a stored tree pass ``node(level, index)``, which returns the hash of the *complete* subtree over
the leaves ``index * 2**level .. (index + 1) * 2**level - 1`` (level 0: a leaf). Proofs then cost O(log
size) reads.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from operator import add
from typing import cast

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "NodeReader",
    "consistency_proof",
    "inclusion_proof",
    "node_hash",
    "root",
    "root_from_nodes",
    "root_from_peaks",
    "verify_consistency",
    "verify_inclusion",
]

NodeReader = Callable[[int, int], bytes]

EMPTY_ROOT = sha256(b"").digest()
_HASH_BYTES = 32


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the inner node over two 32-byte hashes."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the complete subtrees that make up a growing tree: O(log size) hashes.

    Attributes:
        size: leaves appended so far.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> list[bytes]:
        """Append leaf ``i``; return the inner nodes it completed, level 1 first (at level k, index ``i >> k``)."""
        completed: list[bytes] = []
        index, current = self.size, leaf
        while index & 1:
            current = node_hash(self._peaks.pop(), current)
            completed.append(current)
            index >>= 1
        self._peaks.append(current)
        self.size += 1
        return completed

    def extend(self, leaves: Sequence[bytes]) -> list[bytes]:
        """Append many leaves; return for each its hash followed by the inner nodes it completed, level 1 first.

        The tree is built level by level, which costs a third less than leaf by leaf.
        """
        joined, row, first, level = list(leaves), list(leaves), self.size, 0
        tops: list[bytes] = []
        while row:
            if first & 1:  # the first of the row has its left sibling among the peaks
                row.insert(0, self._peaks.pop())
                first -= 1
            if len(row) & 1:
                tops.append(row.pop())
            row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
            first, level = first >> 1, level + 1
            ends = slice(((first + 1) << level) - 1 - self.size, None, 1 << level)
            joined[ends] = map(add, joined[ends], row)
        self._peaks += reversed(tops)
        self.size += len(leaves)
        return joined

    def root(self) -> bytes:
        """Return the root over the leaves so far; SHA-256 of nothing when there are none."""
        return _fold(self._peaks)

    def copy(self) -> "Frontier":
        """Return the frontier as it is now, to be extended apart from this one."""
        other = Frontier()
        other.size, other._peaks = self.size, self._peaks.copy()
        return other


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the tree's 32-byte root over leaf hashes, oldest first."""
    frontier = Frontier()
    for leaf in leaf_hashes:
        frontier.append(leaf)
    return frontier.root()


def root_from_nodes(size: int, node: NodeReader) -> bytes:
    """Return the root of the first ``size`` leaves, reading one subtree for each bit set in ``size``."""
    return _range_root(0, size, node) if size else EMPTY_ROOT


def root_from_peaks(peaks: Sequence[bytes]) -> bytes:
    """Return the root of the tree made of these complete subtrees, largest first."""
    return _fold(peaks)


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 9162 2.1.3.1: sibling hashes, the leaf's own sibling first.

    Raises:
        ValueError: not 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of size {size}: expected 0 <= index < size")
    siblings: list[bytes] = []
    start, count = 0, size
    while count > 1:
        split = _split(count)
        if index < start + split:
            siblings.append(_range_root(start + split, count - split, node))
            count = split
        else:
            siblings.append(_range_root(start, split, node))
            start, count = start + split, count - split
    return siblings[::-1]


def consistency_proof(old_size: int, new_size: int, node: NodeReader) -> list[bytes]:
    """Return PROOF(old_size, D[new_size]) of RFC 9162 2.1.4.1; empty when the sizes are equal.

    Raises:
        ValueError: sizes out of order, or from 0 to more (every tree extends the empty one).
    """
    if not 0 <= old_size <= new_size or (old_size == 0 and new_size > 0):
        raise ValueError(f"no consistency proof from size {old_size} to {new_size}: expected 0 < old size <= new size")
    siblings: list[bytes] = []
    start, old, new = 0, old_size, new_size
    while old != new:
        split = _split(new)
        if old <= split:
            siblings.append(_range_root(start + split, new - split, node))
            new = split
        else:
            siblings.append(_range_root(start, split, node))
            start, old, new = start + split, old - split, new - split
    if start:
        siblings.append(_range_root(start, old, node))
    return siblings[::-1]


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """State whether the leaf is number ``index`` of the ``size`` leaves under ``root`` (RFC 9162 2.1.3.2).

    Anything wrong is False, wrong types and lengths included; nothing is raised.
    """
    if not (_is_size(index) and _is_size(size) and index < size):
        return False
    if not (_is_hash(leaf_hash) and _is_hash(root) and _is_proof(proof)):
        return False
    position, last, computed = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """State whether the tree under ``new_root`` extends the one under ``old_root`` (RFC 9162 2.1.4.2).

    Equal sizes need an empty proof and equal roots (the empty root for 0 and 0); from 0 to more is False.
    Anything wrong is False, wrong types and lengths included; nothing is raised.
    """
    if not (_is_size(old_size) and _is_size(new_size) and old_size <= new_size):
        return False
    if not (_is_hash(old_root) and _is_hash(new_root) and _is_proof(proof)):
        return False
    if old_size == new_size:
        return not proof and old_root == new_root and (old_size > 0 or old_root == EMPTY_ROOT)
    if old_size == 0 or not proof:
        return False
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_computed = node_hash(sibling, old_computed)
            new_computed = node_hash(sibling, new_computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_computed = node_hash(new_computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old_computed == old_root and new_computed == new_root


def _split(count: int) -> int:
    """Return the largest power of two smaller than ``count`` (count >= 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_root(start: int, count: int, node: NodeReader) -> bytes:
    """Return the root over ``count`` leaves from ``start``, a place where the recursion of RFC 6962 splits."""
    peaks: list[bytes] = []
    while count:
        level = count.bit_length() - 1
        peaks.append(node(level, start >> level))
        start, count = start + (1 << level), count - (1 << level)
    return _fold(peaks)


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Join the roots of complete subtrees, largest first, from the right."""
    if not peaks:
        return EMPTY_ROOT
    joined = peaks[-1]
    for peak in reversed(peaks[:-1]):
        joined = node_hash(peak, joined)
    return joined


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == _HASH_BYTES


def _is_proof(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_hash, cast("Sequence[object]", value)))
