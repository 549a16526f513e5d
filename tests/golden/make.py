"""Make the golden ledger of the present rules: ``python -m tests.golden.make``, when a version was raised on purpose.

Its runs go through every kind of decision: plans refused and repaired, retries, escalation, skips, verdicts of each
sort, a budget that stops, a cancel, work of the calling assistant. Clock and randomness are counters, so that the file
says what the rules decide and nothing about the day.
"""

import hashlib
import itertools
import shutil
import tempfile
from pathlib import Path

import anyio

from forum_mcp.configs.settings import ExecutorSettings, LimitSettings, RoleSettings, Settings, StepSettings
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from forum_mcp.rules.next import VERSIONS
from tests.golden.judging import judge_and_climb
from tests.golden.steps import take_steps

HERE = Path(__file__).parent
PLAN = """{"tasks": [
 {"id": "schema", "lane": "database", "instruction": "design the schema", "depends_on": []},
 {"id": "endpoint", "lane": "backend", "instruction": "write the endpoint", "depends_on": ["schema"]},
 {"id": "page", "lane": "frontend", "instruction": "build the page", "depends_on": ["schema"]},
 {"id": "guide", "lane": "technical-writing", "instruction": "write the guide", "depends_on": ["endpoint", "page"]}]}"""


def name() -> str:
    """Return the golden ledger's file name: it names the versions it was made by."""
    return f"rules-{hashlib.sha256(repr(sorted(VERSIONS.items())).encode()).hexdigest()[:12]}.sqlite"


def counted_clock() -> Clock:
    """Return a clock and a source of bytes that only count."""
    microseconds, milliseconds, drawn = (
        itertools.count(1_800_000_000_000_000, 1_000),
        itertools.count(),
        itertools.count(),
    )

    def entropy(size: int) -> bytes:
        return hashlib.shake_256(str(next(drawn)).encode()).digest(size)

    return Clock(
        now_us=lambda: next(microseconds),
        monotonic_ms=lambda: next(milliseconds),
        elapsed_s=lambda: 0.0,
        entropy=entropy,
    )


def weak(call: Call) -> Outcome | str:
    """Play a first rung that fails in several ways."""
    match call.purpose:
        case "plan":
            return PLAN if call.attempt == 2 else "Let us first think about the plan."
        case "validate":
            return '{"passed": false, "reason": "too short"}' if call.task == "page" else '{"passed": true}'
        case "synthesize":
            return "All of it is done."
        case _:
            if call.task == "schema" and call.attempt == 1:
                return Outcome(error="rate-limit", http_status=429, retry_after_ms=5)
            if call.task == "endpoint":
                return Outcome(error="exit-code", exit_code=2, reply=b"half", stderr=b"no disk")
            return f"{call.task} as asked"


def strong(call: Call) -> Outcome | str:
    """Play a second rung whose validator cannot be understood and whose page fails."""
    if call.purpose == "validate":
        return "It depends."
    if call.task == "page":
        return Outcome(error="refused", detail="not that page")
    return f"{call.task}, done well"


def settings(ledger: Path, roles: RoleSettings, calls: int = 200) -> Settings:
    """Return settings with two scripted executors."""
    scripted = ExecutorSettings(type="scripted", script="-")
    return Settings(
        ledger=str(ledger),
        executors={"weak": scripted, "strong": scripted},
        roles=roles,
        steps=StepSettings(escalate=True),
        limits=LimitSettings(calls=calls),
        max_parallel=2,
    )


async def make(ledger: Path) -> None:
    """Run every kind of decision into a ledger."""
    clock = counted_clock()
    cast = {"weak": ScriptedExecutor(weak), "strong": ScriptedExecutor(strong)}
    ladder = RoleSettings(coordinator=["weak"], worker=["weak", "strong"], validator=["weak"], synthesizer=["weak"])
    unclear = RoleSettings(worker=["weak"], validator=["strong"], synthesizer=["strong"])
    async with Orchestrator.open(settings(ledger, ladder), executors=cast, clock=clock) as forum:
        await forum.submit("Build a page with a schema, an endpoint and a guide.", wait_s=60)
        rested = await forum.plan("build the database schema and the auth endpoint")
        await forum.submit(plan=rested.run_id, wait_s=60)
        await forum.cancel((await forum.plan("summon a unicorn")).run_id)
    async with Orchestrator.open(settings(ledger, unclear), executors=cast, clock=clock) as forum:
        await forum.submit("1. write the guide\n2. build the css of the page", wait_s=60)
    async with Orchestrator.open(settings(ledger, ladder, calls=4), executors=cast, clock=clock) as forum:
        await forum.submit("Build a page with a schema, an endpoint and a guide.", wait_s=60)
        once = await forum.submit("write the css of the page", single=True, wait_s=60)
        await forum.fork(once.run_id, wait_s=60)
        gated = await forum.submit("write the guide", single=True, approve="run", wait_s=60)
        await forum.resolve(gated.gates[0], approved=True, wait_s=60)
    async with Orchestrator.open(settings(ledger, RoleSettings()), executors=cast, clock=clock) as forum:
        run = (await forum.submit("write the readme docs and the guide", lane="technical-writing", single=True)).run_id
        for item in (await forum.work_next(run, client="golden")).items:
            await forum.work_complete(item.item, "the guide", client="golden")
    await take_steps(ledger, clock)
    await judge_and_climb(ledger, clock)


def main() -> None:
    """Write the golden ledger beside this file."""
    with tempfile.TemporaryDirectory() as scratch:
        anyio.run(make, Path(scratch) / "ledger.db")
        shutil.copyfile(Path(scratch) / "ledger.db", HERE / name())


if __name__ == "__main__":
    main()
