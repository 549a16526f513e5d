"""What a kind of entry is: its payload, its bodies, its parents, and whether it reports or decides."""

from dataclasses import dataclass
from typing import Literal

import msgspec

__all__ = ["Amounts", "Kind", "Payload", "Seen"]


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The ``data`` of a kind. Members that have a default are left out when they hold it.

    ``t_ms`` and ``seen`` are the recorder's and stand in no payload.
    Unknown members are ignored when read, so that a later version may add one.
    """


class Amounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Amounts in the four currencies of a budget; None is "no such amount", never zero.

    ``ms`` is the run's active time, ``microusd`` a millionth of a US dollar.
    """

    calls: int | None = None
    ms: int | None = None
    tokens: int | None = None
    microusd: int | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The account of a project's day (UTC) as it stood just before an entry was appended.

    Where the day is limited every decision carries it as ``seen``, which is the recorder's, like ``t_ms``.
    """

    day: str
    settled: Amounts
    reserved: Amounts


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of kinds.

    Attributes:
        name: dotted, past tense.
        role: ``event`` reports something from outside the rules; ``decision`` is what ``decide`` gives, and verify
            level 4 derives it again; ``custody`` concerns the ledger itself.
        payload: shape of ``data``.
        bodies: names the entry may carry.
        parents: what caused it, in words.
    """

    name: str
    role: Literal["event", "decision", "custody"]
    payload: type[Payload]
    bodies: tuple[str, ...]
    parents: str
