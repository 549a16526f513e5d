"""The stored Merkle tree: each entry's row holds its leaf hash and the nodes that entry completes, level 1 first.

Node (level, index) covers the leaves ``index * 2**level`` up to, not including, ``(index + 1) * 2**level``
(RFC 6962); the last of them completes it, so its place is known without an index. An append writes nothing but its own
row, and a proof costs O(log n) reads.
"""

import sqlite3
from collections.abc import Iterator
from typing import Final

import msgspec

from forum_mcp.ledger.merkle import node_hash, root_from_peaks
from forum_mcp.stores.connection import blob
from forum_mcp.stores.rows import bounded, head

__all__ = ["Edge", "extended", "newest_nodes_fault", "read_edge", "read_node", "scan_nodes"]

_HASH_BYTES: Final = 32


class Edge(msgspec.Struct, frozen=True, gc=False):
    """The right edge of a tree: all that is needed to extend it and to know its root.

    Attributes:
        size: leaves.
        leaf: 32-byte hash of the newest; what entry 0 follows where there is none.
        peaks: roots of the complete subtrees it is made of, largest first: one for each bit set in ``size``.
    """

    size: int
    leaf: bytes
    peaks: tuple[bytes, ...]

    def root(self) -> bytes:
        """Return the root over all leaves."""
        return root_from_peaks(self.peaks)


def read_edge(connection: sqlite3.Connection, genesis: bytes) -> Edge:
    """Return the right edge of the stored tree; reads O(log size) rows. ``genesis``: what entry 0 follows."""
    size, leaf = head(connection) or (0, genesis)
    peaks: list[bytes] = []
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            index = (size >> level) - 1
            found = read_node(connection, level, index)
            if found is None:
                raise sqlite3.DatabaseError(f"tree node {level}/{index} is missing")
            peaks.append(found)
    return Edge(size, leaf, tuple(peaks))


def extended(edge: Edge, leaf: bytes) -> tuple[Edge, bytes]:
    """Return the edge after one more leaf, and what its row stores: the leaf, then each node it completes."""
    peaks, index, current, joined = list(edge.peaks), edge.size, leaf, leaf
    while index & 1:
        current = node_hash(peaks.pop(), current)
        joined += current
        index >>= 1
    peaks.append(current)
    return Edge(edge.size + 1, leaf, tuple(peaks)), joined


def read_node(connection: sqlite3.Connection, level: int, index: int) -> bytes | None:
    """Return the 32-byte hash of a stored node or leaf, or None when there is none."""
    if not (0 <= level < 63 and index >= 0):
        return None
    seq = bounded(((index + 1) << level) - 1)
    row = connection.execute("SELECT tree FROM entries WHERE seq = ?", (seq,)).fetchone()
    found = b"" if row is None else blob(row[0])[_HASH_BYTES * level : _HASH_BYTES * (level + 1)]
    return found if len(found) == _HASH_BYTES else None


def newest_nodes_fault(connection: sqlite3.Connection, size: int) -> str | None:
    """Return what is wrong with the newest node of a level, or None; reads O(log size) rows.

    For each level the newest complete subtree must be there and be made from its children, and the newest entry must
    not hold more than it completes.
    """
    level = 1
    while size >> level:
        index = (size >> level) - 1
        left = read_node(connection, level - 1, 2 * index)
        right = read_node(connection, level - 1, 2 * index + 1)
        found = read_node(connection, level, index)
        if left is None or right is None or found != node_hash(left, right):
            return f"tree node {level}/{index} is missing or not made from its children"
        level += 1
    (hashes,) = connection.execute("SELECT tree FROM entries WHERE seq = ?", (size - 1,)).fetchone()
    if len(blob(hashes)) != _HASH_BYTES * (size & -size).bit_length():
        return f"the hashes stored with entry {size - 1} are not as many as it completes nodes"
    return None


def scan_nodes(connection: sqlite3.Connection, size: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level, index, hash) of each leaf (level 0) and each node of the first ``size`` entries, by level.

    Raises:
        sqlite3.DatabaseError: one is missing.
    """
    for level in range(size.bit_length()):
        for index in range(size >> level):
            found = read_node(connection, level, index)
            if found is None:
                raise sqlite3.DatabaseError(f"tree node {level}/{index} is missing")
            yield level, index, found
