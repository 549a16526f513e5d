"""What verification reads from: any container of entries and bodies, exactly as it stands on disk."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from forum_mcp.ledger.entry import Entry, leaf_hash
from forum_mcp.ledger.faultless import faultless_each

__all__ = ["PAGE_ENTRIES", "Page", "RawBody", "RawEntry", "Source", "SourceFault", "read"]

T = TypeVar("T")
PAGE_ENTRIES: Final = 64
RawEntry = tuple[int, bytes]
RawBody = tuple[str, str, bytes, bytes | None]


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


class Page(NamedTuple):
    """Some entries that stand one after the other, hashed and looked at once for all who need it.

    Attributes:
        start: position of the first; the others follow without a gap.
        raws: their exact bytes.
        leaves: their 32-byte leaf hashes, computed from the bytes.
        entries: what ``faultless_each`` says of each.
        kept: the hashes the container stores with each, joined: its leaf hash, then the tree nodes it completes,
            level 1 first; None where a container stores none.
    """

    start: int
    raws: Sequence[bytes]
    leaves: Sequence[bytes]
    entries: Sequence[Entry | None]
    kept: Sequence[bytes] | None = None

    @classmethod
    def of(cls, start: int, raws: Sequence[bytes], kept: Sequence[bytes] | None = None) -> "Page":
        """Hash and look at entries."""
        return cls(start, raws, list(map(leaf_hash, raws)), faultless_each(raws), kept)


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
        """Whether the container stores the hashes of the tree beside its entries."""
        return False

    @property
    def finds_bodies(self) -> bool:
        """Whether ``find`` works, and bodies come about in the order in which entries first cite them."""
        return False

    def entries(self) -> Iterator[RawEntry | SourceFault]:
        """Yield (position the container gives the entry, exact bytes), ascending."""
        ...

    def pages(self) -> Iterator[Page | SourceFault]:
        """Yield what ``entries`` yields by the page; a container that keeps more beside the bytes compares it here."""
        start, raws = 0, list[bytes]()
        for item in read(self.entries()):
            if raws and (isinstance(item, SourceFault) or item[0] != start + len(raws) or len(raws) == PAGE_ENTRIES):
                yield Page.of(start, raws)
                raws = []
            if isinstance(item, SourceFault):
                yield item
                continue
            start = start if raws else item[0]
            raws.append(item[1])
        if raws:
            yield Page.of(start, raws)

    def bodies(self) -> Iterator[RawBody | SourceFault]:
        """Yield (commit hex, media type, salt, plain bytes or None when they cannot be unpacked).

        Sorted by commit, the check needs little memory; in any other order it works and needs more, unless the
        container ``finds_bodies``.
        """
        ...

    def find(self, commit: str) -> RawBody | None:
        """Return the body that stands under a commitment (64 lower-case hex), or None; see ``finds_bodies``."""
        return None

    def notes(self) -> Iterator[str | SourceFault]:
        """Yield the signed checkpoints kept beside the entries (an export's last lines)."""
        yield from ()

    def faults(self) -> Iterator[SourceFault]:
        """Yield what else of the container is damaged or disagrees with its entries; asked after ``pages``."""
        yield from ()

    def index_faults(self) -> Iterator[str | SourceFault]:
        """Yield the commit of each body that an index of bodies does not lead to; asked after ``bodies``.

        A fault stands for what cannot be told of one body.
        """
        yield from ()


def read(items: Iterator[T | SourceFault]) -> Iterator[T | SourceFault]:
    """Yield a source's items; a fault it raises is yielded as its last."""
    try:
        yield from items
    except SourceFault as fault:
        yield fault
