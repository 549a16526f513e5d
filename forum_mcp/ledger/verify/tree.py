"""The hashes a container stores beside its entries, compared with those the entries give."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from forum_mcp.ledger.entry import leaf_hash
from forum_mcp.ledger.merkle import Frontier
from forum_mcp.ledger.verify.findings import Findings
from forum_mcp.ledger.verify.source import Source, SourceFault, read

__all__ = ["check_kept", "roots_at"]

_HASH_BYTES: Final = 32


def check_kept(start: int, kept: Sequence[bytes], computed: Sequence[bytes], findings: Findings) -> None:
    """Compare what is stored with entries ``start`` and on: each its leaf hash and the nodes it completes, joined.

    Args:
        start: seq of the first.
        kept: what the container stores.
        computed: what the entries give, ``Frontier.extend``; longer than ``kept`` where only the leaf can be judged.
        findings: takes a ``tree-node`` for each hash that is wrong, absent or one too many.
    """
    for seq, (stored, expected) in enumerate(zip(kept, computed, strict=True), start):
        if stored == expected:
            continue
        for level, (node, found) in enumerate(zip_longest(_hashes(expected), _hashes(stored))):
            if node != found:
                place = "the leaf hash" if level == 0 else f"node {seq >> level} of level {level}"
                findings.add(
                    "tree-node",
                    seq,
                    f"{place}: {node.hex() if node else 'none is complete here'}",
                    f"{place}: {found.hex() if found else 'no such hash'}",
                )


def roots_at(source: Source, sizes: Iterable[int]) -> dict[int, bytes]:
    """Return the root at each of the sizes that the source has, reading its entries once more."""
    wanted = set(sizes)
    roots: dict[int, bytes] = {}
    frontier = Frontier()
    for leaf in _leaves(source):
        if frontier.size in wanted:
            roots[frontier.size] = frontier.root()
        frontier.append(leaf)
    if frontier.size in wanted:
        roots[frontier.size] = frontier.root()
    return roots


def _leaves(source: Source) -> Iterator[bytes]:
    """Yield leaf hashes until the first gap: what comes after it has no known place in the tree."""
    for size, item in enumerate(read(source.entries())):
        if isinstance(item, SourceFault) or item[0] != size:
            return
        yield leaf_hash(item[1])


def _hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + _HASH_BYTES] for at in range(0, len(joined), _HASH_BYTES)]
