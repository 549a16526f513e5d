"""The stored Merkle tree: complete subtrees of level 1 and up; level 0 is the column ``entries.leaf``.

Node (level, index) covers the leaves ``index * 2**level`` up to, not including, ``(index + 1) * 2**level``
(RFC 6962). A node is written once, in the transaction of the entry that completes it, so an append costs one
node on average and a proof O(log n) reads.
"""

import sqlite3
from collections.abc import Iterator
from typing import Final

from forum_mcp.ledger.merkle import completed_nodes, node_hash
from forum_mcp.stores.connection import blob
from forum_mcp.stores.rows import bounded

__all__ = ["extend", "newest_nodes_fault", "read_node", "scan_inner", "scan_nodes"]

_PAGE: Final = 512
# CAST keeps a row readable whose column types were changed by damage. The first two parameters: level and index of the
# row before.
_LEAVES: Final = "SELECT 0, seq, CAST(leaf AS BLOB) FROM entries WHERE ? < 1 AND seq > ? ORDER BY seq LIMIT ?"
_NODES: Final = (
    "SELECT CAST(level AS INTEGER), CAST(idx AS INTEGER), CAST(hash AS BLOB) FROM nodes "
    "WHERE (level, idx) > (?, ?) ORDER BY level, idx LIMIT ?"
)


def extend(connection: sqlite3.Connection, seq: int, leaf: bytes, previous: bytes) -> None:
    """Write the nodes that leaf ``seq`` completes. ``leaf`` and ``previous`` (leaf seq - 1): 32 bytes."""

    def sibling(level: int, index: int) -> bytes:
        if (level, index) == (0, seq - 1):
            return previous
        found = read_node(connection, level, index)
        if found is None:
            raise sqlite3.DatabaseError(f"tree node {level}/{index} is missing")
        return found

    for node in completed_nodes(seq, leaf, sibling):
        connection.execute("INSERT INTO nodes (level, idx, hash) VALUES (?, ?, ?)", node)


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
