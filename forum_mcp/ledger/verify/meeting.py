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
        self._waiting: dict[str, Judged] = {}
        self._odd: list[Judged | SourceFault] = []
        self.matching = 0

    def meets(self, ref: BodyRef) -> bool:
        """Meet the body of a reference, if it is the next ones'; False leaves the reference to the caller."""
        found = self._waiting.pop(ref.commit, None)
        while found is None:
            if len(self._waiting) >= _WAITING_MAX or not self._read_on():
                return False
            found = self._waiting.pop(ref.commit, None)
        if found.size == ref.size and found.type == ref.type:
            self.matching += 1
            return True
        self._odd.append(found)
        return False

    def rest(self) -> Iterator[Judged | SourceFault]:
        """Yield every body that was not met."""
        yield from self._odd
        yield from self._waiting.values()
        for item in self._stream:
            yield item if isinstance(item, SourceFault) else judged(item)

    def _read_on(self) -> bool:
        found = False
        for item in islice(self._stream, _AT_ONCE):
            found = True
            body = item if isinstance(item, SourceFault) else judged(item)
            if isinstance(body, SourceFault) or not body.matches or body.commit in self._waiting:
                self._odd.append(body)
            else:
                self._waiting[body.commit] = body
        return found
