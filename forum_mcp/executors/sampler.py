"""Where questions to the model of a client meet clients that lend theirs.

Only a client can be asked for its model, and only while a call of it waits for the run, so a call of a ``sampling``
executor is a *question* that stands here until such a client takes it, or its time is over. A client that lends none
and waits for the run ends it early, unless one that does was here before: that one comes back. What speaks MCP is
``server/sampling.py``; in a program that serves nobody a question ends at once, as ``sampling-missing``.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import anyio

from forum_mcp.executors.base import Outcome
from forum_mcp.ledger.entry import RunId

__all__ = ["Ask", "Lent", "Question", "Sampler"]

_MET_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Question:
    """What a client's model is asked.

    Attributes:
        key: names the attempt, and is never used again.
        run: the run it is asked for.
        system: instructions of the role.
        prompt: user content.
        max_tokens: most tokens of the reply.
        temperature: 0 to 2, or None for the client's own.
        model: name of a model that is wished for; the client chooses.
    """

    key: str
    run: RunId
    system: str
    prompt: str
    max_tokens: int
    temperature: float | None
    model: str | None


Ask = Callable[[Question], Awaitable[Outcome]]
"""Asks a client over its connection; raises nothing but cancellation."""


@dataclass(slots=True)
class _Open:
    question: Question
    taken: bool = False
    shown: bool = False
    outcome: Outcome | None = None


@dataclass(eq=False, slots=True)
class Lent:
    """A client's model, while a call of the client waits for a run. ``ask`` None: the call's own result asks."""

    run: RunId
    ask: Ask | None
    _sampler: "Sampler"

    def asked(self) -> bool:
        """Tell whether the run asks something that the result of the call is to ask."""
        return self.ask is None and bool(self._sampler.questions(self.run))

    async def until_asked(self) -> None:
        """Return once it does."""
        while not self.asked():
            await self._sampler.moved.wait()


@dataclass(slots=True)
class Sampler:
    """Where the questions of a forum's runs wait for clients, and clients for questions."""

    moved: anyio.Event = field(default_factory=anyio.Event)
    """Set and replaced each time something here changes."""
    _served: bool = False
    _open: dict[str, _Open] = field(default_factory=dict[str, _Open])
    _lent: list[Lent] = field(default_factory=list[Lent])
    _met: dict[RunId, str | None] = field(default_factory=dict[RunId, str | None])
    """By run: the client that waited for it and lends nothing; None once one that lends its model did."""

    def serve(self) -> None:
        """Say that clients may come: from now on a question waits for one."""
        self._served = True

    @contextmanager
    def lent(self, run: RunId, ask: Ask | None) -> Generator[Lent]:
        """Have a client at hand for a run, for the length of the block."""
        client = Lent(run, ask, self)
        self._meet(run, None)
        self._lent.append(client)
        try:
            yield client
        finally:
            self._lent.remove(client)

    def decline(self, run: RunId, client: str) -> None:
        """Note that a client which lends no model waits for a run: unless one that does came before, there is none."""
        if self._met.get(run, client) is not None:
            self._meet(run, client)

    def _meet(self, run: RunId, declining: str | None) -> None:
        self._met.pop(run, None)
        while len(self._met) >= _MET_MAX:
            del self._met[next(iter(self._met))]
        self._met[run] = declining
        self._move()

    def questions(self, run: RunId) -> list[Question]:
        """Return what the run asks and no client has taken over its connection, oldest first."""
        return [
            each.question
            for each in self._open.values()
            if each.question.run == run and not each.taken and each.outcome is None
        ]

    def hand_out(self, run: RunId) -> list[Question]:
        """Return the same, from now on known to a client that lends its model."""
        self._meet(run, None)
        questions = self.questions(run)
        for each in questions:
            self._open[each.key].shown = True
        return questions

    def answer(self, key: str, outcome: Outcome) -> None:
        """Take what a client brought; a question that is not open any more has its outcome already."""
        if (item := self._open.get(key)) is not None and item.outcome is None:
            item.outcome = outcome
            self._move()

    async def ask(self, question: Question, timeout_s: float) -> Outcome:
        """Wait for a client to answer a question, at most ``timeout_s`` seconds."""
        if not self._served:
            return _missing("only a client over MCP lends its model, and this program serves none")
        item = self._open[question.key] = _Open(question)
        self._move()
        try:
            with anyio.move_on_after(timeout_s):
                return await self._answered(item)
        finally:
            del self._open[question.key]
        if not (item.taken or item.shown):
            return _missing(f"no client that does sampling waited for the run within {timeout_s:g} s")
        return Outcome(error="timeout", detail=f"the client's model did not answer within {timeout_s:g} s")

    async def _answered(self, item: _Open) -> Outcome:
        run = item.question.run
        while item.outcome is None:
            ask = next((each.ask for each in reversed(self._lent) if each.run == run and each.ask is not None), None)
            if ask is not None:
                item.taken = True
                return await ask(item.question)
            if (declining := self._met.get(run)) is not None:
                return _missing(f"client {declining!r}, which waits for the run, declares no sampling")
            await self.moved.wait()
        return item.outcome

    def _move(self) -> None:
        self.moved.set()
        self.moved = anyio.Event()


def _missing(why: str) -> Outcome:
    detail = f"{why}; wait for the run from a client that does sampling, or bind the role to another executor"
    return Outcome(error="sampling-missing", detail=detail)
