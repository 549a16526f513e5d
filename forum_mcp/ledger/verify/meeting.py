"""Bodies met in step with the entries that cite them, where both come in the same order.

A body that agrees with the first reference to it is done with at once: neither has to be remembered. What remains
(bodies cited again, redacted, missing, wrong, of nobody) is left to the check that can say what is the matter.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from forum_mcp.ledger.entry import BodyRef, commitment
from forum_mcp.ledger.verify.source import RawBody, Source, SourceFault, read

__all__ = ["Judged", "Meeting", "judged"]

_SALT_BYTES: Final = 32
_AT_ONCE: Final = 64
_WAITING_MAX: Final = 4096


class Judged(NamedTuple):
    """A body held against its commitment; its bytes are not kept.

    Attributes:
        commit: what it stands under, hex if nothing is wrong.
        type: media type.
        size: plain bytes, None when they could not be unpacked.
        computed: the commitment its salt, type and bytes give (hex); None when one of them cannot be hashed.
        salt_bytes: length of the salt.
    """

    commit: str
    type: str
    size: int | None
    computed: str | None
    salt_bytes: int

    @property
    def matches(self) -> bool:
        """Whether it is the body that its commitment promises."""
        return self.computed == self.commit


def judged(body: RawBody) -> Judged:
    """Compute the commitment of a body."""
    commit, media_type, salt, data = body
    if data is None:
        return Judged(commit, media_type, None, None, len(salt))
    # A damaged row may hold any text, and a salt of another length could move bytes from one part into the next.
    fit = len(salt) == _SALT_BYTES and media_type.isascii()
    return Judged(commit, media_type, len(data), commitment(salt, media_type, data) if fit else None, len(salt))


class Meeting:
    """The bodies of a source that ``finds_bodies``.

    Attributes:
        matching: bodies met, each by one reference with its size and type.
    """

    def __init__(self, source: Source) -> None:
        self._stream = read(source.bodies())
        self._waiting: dict[str, tuple[int, str]] = {}  # size and type of bodies that match their commitment
        self._odd: list[Judged | SourceFault] = []
        self.matching = 0

    def meets(self, ref: BodyRef) -> bool:
        """Meet the body of a reference, if it is the next ones'; False leaves the reference to the caller."""
        found = self._waiting.pop(ref.commit, None)
        while found is None:
            if len(self._waiting) >= _WAITING_MAX or not self._read_on():
                return False
            found = self._waiting.pop(ref.commit, None)
        if found == (ref.size, ref.type):
            self.matching += 1
            return True
        self._odd.append(_matching(ref.commit, *found))
        return False

    def rest(self) -> Iterator[Judged | SourceFault]:
        """Yield every body that was not met."""
        yield from self._odd
        for commit, (size, media_type) in self._waiting.items():
            yield _matching(commit, size, media_type)
        for item in self._stream:
            yield item if isinstance(item, SourceFault) else judged(item)

    def _read_on(self) -> bool:
        found, waiting = False, self._waiting
        for item in islice(self._stream, _AT_ONCE):
            found = True
            if isinstance(item, SourceFault):
                self._odd.append(item)
                continue
            commit, media_type, salt, data = item
            # As ``judged`` does it, but without an object for each of the many that match.
            fit = data is not None and len(salt) == _SALT_BYTES and media_type.isascii() and commit not in waiting
            if fit and data is not None and commitment(salt, media_type, data) == commit:
                waiting[commit] = (len(data), media_type)
            else:
                self._odd.append(judged(item))
        return found


def _matching(commit: str, size: int, media_type: str) -> Judged:
    return Judged(commit, media_type, size, commit, _SALT_BYTES)
