"""What verification reads from: any container of entries and bodies, exactly as it stands on disk."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from forum_mcp.ledger.entry import Entry, leaf_hash
from forum_mcp.ledger.verify.strict import faultless

__all__ = ["RawBody", "RawEntry", "RawNode", "ReadEntry", "Source", "SourceFault"]

RawEntry = tuple[int, bytes]
ReadEntry = tuple[int, bytes, bytes, Entry | None]
"""Position, exact bytes, their leaf hash, and what ``faultless`` says of them."""
RawBody = tuple[str, str, bytes, bytes | None]
RawNode = tuple[int, int, bytes]


class SourceFault(Exception):
    """A row or line that cannot be read.

    An iterator of a source *yields* it in place of the row and goes on, or *raises* it when it cannot.

    Attributes:
        seq: the place of the entry concerned, or None.
        why: what is wrong, in a few words.
    """

    def __init__(self, seq: int | None, why: str) -> None:
        super().__init__(why)
        self.seq = seq
        self.why = why


class Source(Protocol):
    """A ledger's container. Subclass it to inherit the answers most containers give.

    Every iterator starts afresh when asked again and reads the disk, never a cache; all see one tree size.
    """

    @property
    def ledger_id(self) -> str | None:
        """The ledger id the container claims, or None: the first entry's is then taken."""
        return None

    @property
    def vkeys(self) -> Sequence[str]:
        """Verifier keys claimed outside the entries (an export's head), oldest first."""
        return ()

    @property
    def claimed_size(self) -> int | None:
        """How many entries the container says it holds, or None when it says nothing."""
        return None

    @property
    def without_bodies(self) -> bool:
        """Whether bodies were left out on purpose: their absence is then no fault."""
        return False

    @property
    def stores_nodes(self) -> bool:
        """Whether the container stores inner nodes of the tree."""
        return False

    def entries(self) -> Iterator[RawEntry | SourceFault]:
        """Yield (position the container gives the entry, exact bytes), ascending."""
        ...

    def read_entries(self) -> Iterator[ReadEntry | SourceFault]:
        """Yield what ``entries`` yields, hashed and looked at once, for all who need it.

        A container that keeps something beside the bytes compares it here.
        """
        for item in self.entries():
            if isinstance(item, SourceFault):
                yield item
            else:
                yield *item, leaf_hash(item[1]), faultless(item[1])

    def bodies(self) -> Iterator[RawBody | SourceFault]:
        """Yield (commit hex, media type, salt, plain bytes or None when they cannot be unpacked).

        Sorted by commit, the check needs little memory; in any other order it works and needs more.
        """
        ...

    def nodes(self) -> Iterator[RawNode | SourceFault]:
        """Yield (level >= 1, index, 32-byte hash) of the stored inner nodes, by level then index."""
        yield from ()

    def notes(self) -> Iterator[str | SourceFault]:
        """Yield the signed checkpoints kept beside the entries (an export's last lines)."""
        yield from ()

    def index_faults(self) -> Iterator[str]:
        """Yield the commit of each body whose row in the dedup index is absent, doubled or wrong."""
        yield from ()
