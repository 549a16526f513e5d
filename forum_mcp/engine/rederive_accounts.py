"""Verify level 4, across runs: the account of the day that a decision says it saw, summed up from the entries."""

from collections.abc import Iterator, Mapping

from forum_mcp.engine.accounts import Move, limited, moves_between, position_of, sum_of
from forum_mcp.ledger.entry import Entry
from forum_mcp.ledger.finding import Finding
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.ledger.kinds.base import Amounts, Seen
from forum_mcp.rules.budget import day_of
from forum_mcp.rules.run import OpenCall, RunState

__all__ = ["AccountAudit"]

_NOTHING = Amounts(calls=0, tokens=0, microusd=0)


class AccountAudit:
    """What every run did to the accounts, and what every decision saw of them, to be put in order at the end."""

    def __init__(self) -> None:
        self._moves: list[tuple[int, str, Move]] = []
        self._seen: list[tuple[int, str, Seen]] = []
        self._unseen: list[Finding] = []
        self._blind = False
        self._before: tuple[Mapping[int, OpenCall], Amounts] | None = None

    def before(self, state: RunState, entry: Entry) -> None:
        """Note a run's state, and what the entry says it saw, before the entry is folded."""
        self._before = position_of(state) if limited(state) else None
        if state.contract is None:
            return
        if state.seen is not None:
            self._seen.append((entry.seq, state.contract.project, state.seen))
        kind = KINDS.get(entry.kind)
        if limited(state) and kind is not None and kind.role == "decision":
            day = None if state.seen is None else state.seen.day
            if day != day_of(entry.at):
                self._unseen.append(
                    Finding("decision", entry.seq, None, f"the account of {day_of(entry.at)}", str(day))
                )

    def after(self, state: RunState, entry: Entry) -> None:
        """Note what the entry did, after it is folded."""
        if entry.kind == "run.started" and state.contract is None and "contract" in entry.bodies:
            self._blind = True
        if self._before is not None and state.contract is not None:
            project = state.contract.project
            self._moves += ((entry.seq, project, each) for each in moves_between(self._before, state))

    def findings(self) -> Iterator[Finding]:
        """Yield each decision that did not look at its day's account, and each account that was not as one says.

        No sums where a run's contract is gone: nobody can tell which account it moved.
        """
        yield from self._unseen
        if self._blind:
            return
        sums: dict[tuple[str, str], tuple[Amounts, Amounts]] = {}
        moves = iter(sorted(self._moves, key=lambda each: each[0]))
        upcoming = next(moves, None)
        for seq, project, seen in sorted(self._seen, key=lambda each: each[0]):
            while upcoming is not None and upcoming[0] < seq:
                _, of, (day, settled, reserved) = upcoming
                old = sums.get((of, day), (_NOTHING, _NOTHING))
                sums[of, day] = (sum_of(old[0], settled), sum_of(old[1], reserved))
                upcoming = next(moves, None)
            expected = sums.get((project, seen.day), (_NOTHING, _NOTHING))
            found = (sum_of(_NOTHING, seen.settled), sum_of(_NOTHING, seen.reserved))
            if found != expected:
                yield Finding("decision", seq, None, f"an account of {_words(expected)}", _words(found))


def _words(account: tuple[Amounts, Amounts]) -> str:
    settled, reserved = account
    return (
        f"settled {settled.calls} calls, {settled.tokens} tokens, {settled.microusd} microusd; "
        f"reserved {reserved.calls}, {reserved.tokens}, {reserved.microusd}"
    )
