"""A forum over a temporary ledger, played by a scripted executor."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from forum_mcp.configs.settings import (
    ExecutorSettings,
    LimitSettings,
    PolicySettings,
    RoleSettings,
    Settings,
    StepSettings,
)
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.views import EntryView
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor

Reply = Callable[[Call], "Outcome | str | Awaitable[Outcome | str]"]


@dataclass
class Cast:
    """Who answers what: one function per purpose; each has a plain default."""

    plan: Reply = lambda _: "no plan"
    task: Reply = lambda call: f"result of {call.task}"
    validate: Reply = lambda _: '{"passed": true, "reason": "fine", "evidence": "all of it"}'
    panel: Reply = lambda _: '{"passed": true, "reason": "fine", "evidence": "all of it"}'
    synthesize: Reply = lambda _: "the answer"
    classify: Reply = lambda _: '{"lane": "backend", "confidence": 0.75}'
    judge: Reply = lambda _: '{"met": true, "reason": "fine", "missing": [], "cites": []}'
    revise: Reply = lambda _: "shorter"
    verify: Reply = lambda _: '{"passed": true, "reason": "checked"}'
    received: list[Call] = field(default_factory=list[Call])

    def __call__(self, call: Call) -> "Outcome | str | Awaitable[Outcome | str]":
        self.received.append(call)
        reply: Reply = getattr(self, call.purpose)
        return reply(call)


ALL = RoleSettings(coordinator=["model"], worker=["model"], validator=["model"], synthesizer=["model"])
WORKER = RoleSettings(worker=["model"])
HOST = RoleSettings()


class Stage:
    """Opens forums over one ledger file and checks it when the test ends."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger
        self.cast = Cast()

    def settings(
        self,
        roles: RoleSettings = ALL,
        *,
        max_parallel: int = 4,
        attempts: int = 2,
        limits: LimitSettings | None = None,
        policy: PolicySettings | None = None,
        timeout_s: float = 60.0,
        steps: StepSettings | None = None,
        extra: Mapping[str, ExecutorSettings] | None = None,
    ) -> Settings:
        """Return settings whose executor ``model`` is the cast; ladders are climbed unless ``steps`` says otherwise."""
        model = ExecutorSettings(type="scripted", script="-", attempts=attempts, max_parallel=16, timeout_s=timeout_s)
        return Settings(
            ledger=str(self.ledger),
            executors={"model": model, **(extra or {})},
            roles=roles,
            max_parallel=max_parallel,
            limits=limits or LimitSettings(),
            policy=policy or PolicySettings(),
            steps=steps or StepSettings(escalate=True),
        )

    def forum(self, settings: Settings | None = None) -> AbstractAsyncContextManager[Orchestrator]:
        """Open a forum."""
        return self._open(settings or self.settings())

    @asynccontextmanager
    async def _open(self, settings: Settings) -> AsyncGenerator[Orchestrator]:
        async with Orchestrator.open(settings, executors={"model": ScriptedExecutor(self.cast)}) as forum:
            yield forum

    def entries(self, forum: Orchestrator, kind: str | None = None) -> list[EntryView]:
        """Return all entries of a kind, oldest first."""
        shown = forum.ledger.show(limit=10_000, bodies=True).entries
        return [entry for entry in shown if kind is None or entry.kind == kind]


def plan_of(*tasks: tuple[str, list[str]]) -> str:
    """Return the JSON of a plan: (id, dependencies)."""
    lanes = {"tasks": [{"id": i, "lane": "backend", "instruction": f"do {i}", "depends_on": d} for i, d in tasks]}
    return msgspec.json.encode(lanes).decode()


DIAMOND = plan_of(("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"]))


def assert_clean(forum: Orchestrator) -> None:
    """Verify at level 4: chain, bodies, checkpoints and every decision."""
    report = forum.ledger.verify(level=4)
    assert report.findings == []
    assert report.clean
    assert report.counts["not-rederivable"] == report.counts["rules-not-available"] == 0
