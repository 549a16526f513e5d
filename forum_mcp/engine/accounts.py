"""The account of a project's day: what all its runs that know a day's limit have settled and reserved.

It is moved in the transaction of the entry that moves it, so that two processes never take the same money; it stands
outside the chain, and the entries sum up to it again. A call is charged to the day (UTC) on which it was started.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

import msgspec

from forum_mcp.ledger.kinds.base import Amounts, Seen
from forum_mcp.rules.budget import day_of
from forum_mcp.rules.run import OpenCall, RunState, Spend

__all__ = [
    "Accounts",
    "Move",
    "Sum",
    "account_of_day",
    "kept_seq",
    "limited",
    "move_accounts",
    "moves_between",
    "position_of",
    "sum_of",
]

_NO_LIMITS: Final = Amounts()


class Move(NamedTuple):
    """What an entry did to the account of a day (UTC, ISO 8601): what either sum gains, which may be below zero."""

    day: str
    settled: Amounts
    reserved: Amounts


Sum = Callable[[str, str], Seen]
"""(project, day) -> its account summed up from the entries, for one that is kept and cannot be read."""

_DIGITS_MAX: Final = 15

_log = logging.getLogger(__name__)


class Accounts(Protocol):
    """The part of a transaction that keeps values outside the chain: accounts, and where approvals stand."""

    def account(self, name: str) -> bytes | None:
        """Return what was written last under the name, or None."""
        ...

    def set_account(self, name: str, value: bytes) -> None:
        """Write an account."""
        ...


def kept_seq(value: bytes | None) -> int | None:
    """Return the seq that a value kept outside the chain names, or None where it names none."""
    return int(value) if value is not None and value.isdigit() and len(value) <= _DIGITS_MAX else None


def limited(state: RunState) -> bool:
    """Tell whether the run is bound by its project's day."""
    return state.contract is not None and state.contract.day_limits != _NO_LIMITS


def position_of(state: RunState) -> tuple[dict[int, OpenCall], Amounts]:
    """Return what ``moves_between`` compares: the open calls and what is settled."""
    return dict(state.open), _spent(state.spend)


def moves_between(before: tuple[Mapping[int, OpenCall], Amounts], state: RunState) -> Iterator[Move]:
    """Yield what one entry did to the accounts: a call reserved, or a call settled."""
    calls, spent = before
    for seq, item in state.open.items():
        if seq not in calls:
            yield Move(item.day, settled=Amounts(), reserved=item.reserve)
    closed = [item for seq, item in calls.items() if seq not in state.open]
    for item in closed:
        # Only one call has an outcome at a time; calls that were lost together are settled with what each reserved.
        settled = _less(_spent(state.spend), spent) if len(closed) == 1 else item.reserve
        yield Move(item.day, settled, reserved=_less(Amounts(), item.reserve))


def account_of_day(tx: Accounts, project: str, at_us: int, again: Sum) -> Seen:
    """Return the account of the day of a time as it stands."""
    return _read(tx, project, day_of(at_us), again)


def move_accounts(tx: Accounts, project: str, moves: Iterator[Move], again: Sum) -> None:
    """Move the project's accounts; ``again`` sums up what was before."""
    for day, settled, reserved in moves:
        old = _read(tx, project, day, again)
        new = Seen(day=day, settled=sum_of(old.settled, settled), reserved=sum_of(old.reserved, reserved))
        tx.set_account(f"{project}:{day}", msgspec.json.encode(new))


def _read(tx: Accounts, project: str, day: str, again: Sum) -> Seen:
    value = tx.account(f"{project}:{day}")
    if value is None:
        return Seen(day=day, settled=Amounts(), reserved=Amounts())
    kept = _kept(value)
    if kept is None or kept.day != day:
        _log.warning("the account of %s on %s cannot be read; it is summed up from the entries", project, day)
        kept = again(project, day)
        tx.set_account(f"{project}:{day}", msgspec.json.encode(kept))
    return kept


def _kept(value: bytes) -> Seen | None:
    """Return an account as it was written, or None for anything else."""
    try:
        seen = msgspec.json.decode(value, type=Seen)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):
        return None
    amounts = (*msgspec.structs.astuple(seen.settled), *msgspec.structs.astuple(seen.reserved))
    return seen if all(each is None or each >= 0 for each in amounts) else None


def _spent(spend: Spend) -> Amounts:
    return Amounts(calls=spend.calls, tokens=spend.tokens, microusd=spend.microusd)


def sum_of(one: Amounts, other: Amounts) -> Amounts:
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
