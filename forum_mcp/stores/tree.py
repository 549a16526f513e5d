"""The stored Merkle tree: complete subtrees of level 1 and up; level 0 is the column ``entries.leaf``.

Node (level, index) covers the leaves ``index * 2**level`` up to, not including, ``(index + 1) * 2**level``
(RFC 6962). A node is written once, in the transaction of the entry that completes it, so an append costs one
node on average and a proof O(log n) reads.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from forum_mcp.ledger.merkle import node_hash, root_from_nodes
from forum_mcp.stores.connection import blob
from forum_mcp.stores.rows import bounded, head

__all__ = [
    "Edge",
    "extended",
    "insert_nodes",
    "newest_nodes_fault",
    "read_edge",
    "read_node",
    "scan_inner",
    "scan_nodes",
]

_PAGE: Final = 512
# CAST keeps a row readable whose column types were changed by damage. The first two parameters: level and index of the
# row before.
_LEAVES: Final = "SELECT 0, seq, CAST(leaf AS BLOB) FROM entries WHERE ? < 1 AND seq > ? ORDER BY seq LIMIT ?"
_NODES: Final = (
    "SELECT CAST(level AS INTEGER), CAST(idx AS INTEGER), CAST(hash AS BLOB) FROM nodes "
    "WHERE (level, idx) > (?, ?) ORDER BY level, idx LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Edge:
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
        peaks = iter(self.peaks)
        return root_from_nodes(self.size, lambda level, index: next(peaks))


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


def extended(edge: Edge, leaf: bytes) -> tuple[Edge, list[tuple[int, int, bytes]]]:
    """Return the edge after one more leaf, and (level, index, hash) of each node it completes, level 1 first."""
    peaks, index, level, current = list(edge.peaks), edge.size, 0, leaf
    nodes: list[tuple[int, int, bytes]] = []
    while index & 1:
        current = node_hash(peaks.pop(), current)
        level, index = level + 1, index >> 1
        nodes.append((level, index, current))
    peaks.append(current)
    return Edge(edge.size + 1, leaf, tuple(peaks)), nodes


def insert_nodes(connection: sqlite3.Connection, nodes: Sequence[tuple[int, int, bytes]]) -> None:
    """Write (level, index, hash) of each complete subtree."""
    connection.executemany("INSERT INTO nodes (level, idx, hash) VALUES (?, ?, ?)", nodes)


def read_node(connection: sqlite3.Connection, level: int, index: int) -> bytes | None:
    """Return the 32-byte hash of a stored node or leaf, or None when there is none."""
    if level == 0:
        row = connection.execute("SELECT leaf FROM entries WHERE seq = ?", (bounded(index),)).fetchone()
    else:
        row = connection.execute(
            "SELECT hash FROM nodes WHERE level = ? AND idx = ?", (bounded(level), bounded(index))
        ).fetchone()
    return None if row is None else blob(row[0])


def newest_nodes_fault(connection: sqlite3.Connection, size: int) -> str | None:
    """Return what is wrong with the newest node of a level, or None; reads O(log size) rows.

    For each level the newest complete subtree must be there, be made from its children, and have no
    successor.
    """
    level = 1
    while size >> level:
        index = (size >> level) - 1
        left = read_node(connection, level - 1, 2 * index)
        right = read_node(connection, level - 1, 2 * index + 1)
        found = read_node(connection, level, index)
        if left is None or right is None or found != node_hash(left, right):
            return f"tree node {level}/{index} is missing or not made from its children"
        if read_node(connection, level, index + 1) is not None:
            return f"tree node {level}/{index + 1} is there although {size} entries do not complete it"
        level += 1
    if read_node(connection, level, 0) is not None:
        return f"tree node {level}/0 is there although {size} entries do not complete it"
    return None


def scan_nodes(connection: sqlite3.Connection) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level, index, hash) of each leaf column (level 0) and each stored node, by level then index."""
    yield from _scan(connection, _LEAVES)
    yield from scan_inner(connection)


def scan_inner(connection: sqlite3.Connection) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level >= 1, index, hash) of each stored node, by level then index."""
    yield from _scan(connection, _NODES)


def _scan(connection: sqlite3.Connection, query: str) -> Iterator[tuple[int, int, bytes]]:
    last = (-1, -1)
    while True:
        rows = connection.execute(query, (*last, _PAGE)).fetchall()
        for level, index, digest in rows:
            if level is None or index is None or (level, index) <= last:
                # A damaged page; asking on from here would never end.
                raise sqlite3.DatabaseError(f"tree nodes are out of order at {level}/{index}")
            last = (level, index)
            yield level, index, bytes(digest or b"")
        if len(rows) < _PAGE:
            return
