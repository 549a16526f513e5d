"""Comparing the inner nodes a container stores with those its entries give, in little memory.

Only a digest of every 256 computed nodes is held. Where the stored nodes give another digest, the entries are read a
second time to name the very node: a clean ledger is read once.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from forum_mcp.ledger.entry import leaf_hash
from forum_mcp.ledger.merkle import Frontier
from forum_mcp.ledger.verify.findings import Findings, read
from forum_mcp.ledger.verify.source import RawNode, Source, SourceFault

__all__ = ["Chunk", "ComputedNodes", "check_nodes", "roots_at"]

_CHUNK = 256
Chunk = tuple[int, int]
"""(level, index // 256)."""


class ComputedNodes:
    """Digests of the inner nodes that the entries give.

    Attributes:
        counts: number of complete nodes on level 1, 2, 3 ...
    """

    def __init__(self) -> None:
        self.counts: list[int] = []
        self._open: list[list[bytes]] = []
        self._digests: dict[Chunk, bytes] = {}

    def add(self, completed: Iterable[bytes]) -> None:
        """Take the nodes that one more leaf completed, level 1 first."""
        for level, node in enumerate(completed, 1):
            if level > len(self.counts):
                self.counts.append(0)
                self._open.append([])
            pending = self._open[level - 1]
            pending.append(node)
            self.counts[level - 1] += 1
            if len(pending) == _CHUNK:
                self._digests[level, (self.counts[level - 1] - 1) // _CHUNK] = _digest(pending)
                pending.clear()

    def digests(self) -> dict[Chunk, bytes]:
        """Return the digest of each chunk, the unfinished last one of each level included."""
        unfinished = {
            (level, self.counts[level - 1] // _CHUNK): _digest(pending)
            for level, pending in enumerate(self._open, 1)
            if pending
        }
        return {**self._digests, **unfinished}


def check_nodes(source: Source, computed: ComputedNodes, findings: Findings, *, whole: bool) -> int:
    """Compare every stored node with the computed ones; return how many were stored.

    Args:
        source: read once, and its entries once more if something differs.
        computed: what the entries gave.
        findings: takes a ``tree-node`` for each node that is wrong, absent or one too many.
        whole: whether the entries could be read without a gap. After a gap the tree is not known, and what is stored
            beyond it is not judged: the gap itself is a finding.
    """
    expected = computed.digests()
    suspects: dict[Chunk, dict[int, bytes]] = {}
    seen: set[Chunk] = set()
    count = 0
    for chunk, nodes in _chunks(source, findings):
        count += len(nodes)
        level, known = chunk[0], 0
        if 1 <= level <= len(computed.counts):
            known = computed.counts[level - 1]
        inside = {index: node for index, node in nodes if 0 <= index < known}
        if whole and len(inside) != len(nodes):
            strays = [index for index, _ in nodes if not 0 <= index < known] or [nodes[0][0]]
            findings.add(
                "tree-node", None, f"{known} nodes on level {level}, each once", f"a node at index {strays[0]}"
            )
        if _digest(list(inside.values())) != expected.get(chunk, _digest([])):
            suspects.setdefault(chunk, {}).update(inside)
        seen.add(chunk)
    for chunk in expected.keys() - seen:
        suspects[chunk] = {}
    if suspects:
        _name_wrong_nodes(source, suspects, findings)
    return count


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


def _chunks(source: Source, findings: Findings) -> Iterator[tuple[Chunk, list[tuple[int, bytes]]]]:
    """Yield stored nodes by chunk, as (index, hash), in the source's order."""
    current: Chunk | None = None
    nodes: list[tuple[int, bytes]] = []
    items: Iterator[RawNode | SourceFault] = read(source.nodes())
    for item in items:
        if isinstance(item, SourceFault):
            findings.add("tree-node", item.seq, "a stored node that can be read", item.why)
            continue
        level, index, node = item
        chunk = (level, index // _CHUNK)
        if chunk != current and current is not None:
            yield current, nodes
            nodes = []
        current = chunk
        nodes.append((index, node))
    if current is not None:
        yield current, nodes


def _name_wrong_nodes(source: Source, suspects: dict[Chunk, dict[int, bytes]], findings: Findings) -> None:
    frontier = Frontier()
    for leaf in _leaves(source):
        seq = frontier.size
        for level, node in enumerate(frontier.append(leaf), 1):
            index = seq >> level
            stored = suspects.get((level, index // _CHUNK))
            if stored is not None and stored.get(index) != node:
                found = stored[index].hex() if index in stored else "no such node"
                place = f"node {index} of level {level}"
                findings.add("tree-node", seq, f"{place}: {node.hex()}", f"{place}: {found}")


def _leaves(source: Source) -> Iterator[bytes]:
    """Yield leaf hashes until the first gap: what comes after it has no known place in the tree."""
    for size, item in enumerate(read(source.entries())):
        if isinstance(item, SourceFault) or item[0] != size:
            return
        yield leaf_hash(item[1])


def _digest(nodes: list[bytes]) -> bytes:
    # Each node's length is hashed too: stored nodes are arbitrary bytes, and two of 16 must not pass for one of 32.
    digest = sha256()
    for node in nodes:
        digest.update(len(node).to_bytes(8, "big") + node)
    return digest.digest()
