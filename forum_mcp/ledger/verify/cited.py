"""Which bodies the entries cite: 53 bytes a reference, so that a million of them fit beside everything else."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

__all__ = ["Citations", "Cited"]

_ROW = Struct(">32sqQI?")
_SEEN_AT = _ROW.size - 1


@dataclass(frozen=True, slots=True)
class Cited:
    """One reference: the citing entry's seq, the plain size in bytes and media type it states."""

    seq: int
    size: int
    type: str


class Citations:
    """References by commitment.

    Rows are kept packed, by the first byte of the commitment. A lookup unpacks one such group; bodies that come
    sorted by commitment need one unpacked group at a time, bodies in any other order need all of them.
    """

    def __init__(self) -> None:
        self._groups = [bytearray() for _ in range(256)]
        self._types: list[str] = []
        self._type_numbers: dict[str, int] = {}
        self._unpacked: dict[int, dict[bytes, int | list[int]]] = {}
        self._highest = -1

    def add(self, commit: str, seq: int, size: int, media_type: str) -> None:
        """Add a reference; ``commit`` is 64 lower-case hex, ``seq`` and ``size`` fit 63 bits and a sign."""
        key = bytes.fromhex(commit)
        type_number = self._type_numbers.setdefault(media_type, len(self._types))
        if type_number == len(self._types):
            self._types.append(media_type)
        self._groups[key[0]] += _ROW.pack(key, seq, size, type_number, False)

    def meet(self, commit: bytes) -> tuple[list[Cited], bool]:
        """Return the references to a body that is present, and whether it was met before; it now has been."""
        group = commit[0]
        rows = self._groups[group]
        found = self._unpack(group).get(commit, [])
        offsets = [found] if isinstance(found, int) else found
        before = any(rows[offset + _SEEN_AT] for offset in offsets)
        references: list[Cited] = []
        for offset in offsets:
            rows[offset + _SEEN_AT] = True
            row: tuple[bytes, int, int, int, bool] = _ROW.unpack_from(rows, offset)
            references.append(Cited(row[1], row[2], self._types[row[3]]))
        return references, before

    def meet_alone(self, commit: bytes, size: int, media_type: str) -> bool:
        """Meet a body cited once, with this size and type, and not met before; else change nothing and return False."""
        offsets = self._unpack(commit[0]).get(commit)
        if type(offsets) is not int:
            return False
        rows = self._groups[commit[0]]
        _, _, stated, type_number, before = _ROW.unpack_from(rows, offsets)
        if before or stated != size or self._types[type_number] != media_type:
            return False
        rows[offsets + _SEEN_AT] = True
        return True

    def cites(self, commit: str) -> bool:
        """State whether any entry cites the commitment (64 lower-case hex)."""
        key = bytes.fromhex(commit)
        return key in self._unpack(key[0])

    def unmet(self) -> Iterator[tuple[str, int]]:
        """Yield (commit hex, seq of the first citing entry) of each body that was not met, by commitment."""
        for rows in self._groups:
            first: dict[bytes, int] = {}
            for commit, seq, _, _, seen in _ROW.iter_unpack(rows):
                if not seen:
                    first[commit] = min(seq, first.get(commit, seq))
            for commit in sorted(first):
                yield commit.hex(), first[commit]

    def _unpack(self, group: int) -> dict[bytes, int | list[int]]:
        if group not in self._unpacked:
            if group > self._highest:
                self._unpacked.clear()
                self._highest = group
            offsets: dict[bytes, int | list[int]] = {}
            for number, (commit, *_) in enumerate(_ROW.iter_unpack(self._groups[group])):
                offset = number * _ROW.size
                earlier = offsets.setdefault(commit, offset)
                if earlier is not offset:
                    if isinstance(earlier, int):
                        earlier = offsets[commit] = [earlier]
                    earlier.append(offset)
            self._unpacked[group] = offsets
        return self._unpacked[group]
