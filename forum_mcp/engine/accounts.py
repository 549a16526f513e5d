"""The account of a project's day: what all its runs that know a day's limit have settled and reserved.

It is moved in the transaction of the entry that moves it, so that two processes never take the same money; it stands
outside the chain, and the entries sum up to it again. A call is charged to the day (UTC) on which it was started.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from forum_mcp.ledger.kinds.base import Amounts, Seen
from forum_mcp.rules.budget import day_of
from forum_mcp.rules.run import OpenCall, RunState, Spend

__all__ = ["Accounts", "Moves", "account", "added", "limited", "move", "moves_between", "standing"]

Moves = tuple[str, Amounts, Amounts]
"""(day, what its settled sum gains, what its reserved sum gains); amounts may be below zero."""


class Accounts(Protocol):
    """The part of a transaction that keeps accounts."""

    def account(self, name: str) -> bytes | None:
        """Return what was written last under the name, or None."""
        ...

    def set_account(self, name: str, value: bytes) -> None:
        """Write an account."""
        ...


def limited(state: RunState) -> bool:
    """Tell whether the run is bound by its project's day."""
    return state.contract is not None and state.contract.day_limits != Amounts()


def standing(state: RunState) -> tuple[dict[int, OpenCall], Amounts]:
    """Return what ``moves_between`` compares: the open calls and what is settled."""
    return dict(state.open), _spent(state.spend)


def moves_between(before: tuple[Mapping[int, OpenCall], Amounts], state: RunState) -> Iterator[Moves]:
    """Yield what one entry did to the accounts: a call reserved, or a call settled."""
    calls, spent = before
    for seq, item in state.open.items():
        if seq not in calls:
            yield item.day, Amounts(), item.reserve
    closed = [item for seq, item in calls.items() if seq not in state.open]
    for item in closed:
        # Only one call has an outcome at a time; calls that were lost together are settled with what each reserved.
        settled = _less(_spent(state.spend), spent) if len(closed) == 1 else item.reserve
        yield item.day, settled, _less(Amounts(), item.reserve)


def account(tx: Accounts, project: str, at_us: int) -> Seen:
    """Return the account of the day of a time as it stands."""
    return _read(tx, project, day_of(at_us))


def move(tx: Accounts, project: str, moves: Iterator[Moves]) -> None:
    """Move the project's accounts."""
    for day, settled, reserved in moves:
        old = _read(tx, project, day)
        new = Seen(day=day, settled=added(old.settled, settled), reserved=added(old.reserved, reserved))
        tx.set_account(f"{project}:{day}", msgspec.json.encode(new))


def _read(tx: Accounts, project: str, day: str) -> Seen:
    value = tx.account(f"{project}:{day}")
    if value is None:
        return Seen(day=day, settled=Amounts(), reserved=Amounts())
    return msgspec.json.decode(value, type=Seen)


def _spent(spend: Spend) -> Amounts:
    return Amounts(calls=spend.calls, tokens=spend.tokens, microusd=spend.microusd)


def added(one: Amounts, other: Amounts) -> Amounts:
    """Return the sum; what is not given counts as zero."""
    return Amounts(
        calls=(one.calls or 0) + (other.calls or 0),
        tokens=(one.tokens or 0) + (other.tokens or 0),
        microusd=(one.microusd or 0) + (other.microusd or 0),
    )


def _less(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(
        calls=(one.calls or 0) - (other.calls or 0),
        tokens=(one.tokens or 0) - (other.tokens or 0),
        microusd=(one.microusd or 0) - (other.microusd or 0),
    )
