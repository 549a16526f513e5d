"""A ledger with two runs to read, and its export."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio

from forum_mcp.configs.settings import RoleSettings, Settings
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor

ROLES = RoleSettings(worker=["script"])
PLAN: Mapping[str, object] = {
    "tasks": [
        {"id": "schema", "lane": "database", "instruction": "Write the table of users"},
        {"id": "endpoint", "lane": "backend", "instruction": "Write the login endpoint", "depends_on": ["schema"]},
    ]
}


def reply(call: Call) -> Outcome:
    """Answer a call, with the figures a provider gives."""
    return Outcome(reply=f"the {call.task}".encode(), served_model="script-1", tokens_in=100, tokens_out=20)


def record(ledger: Path, *, runs: int = 1, request: str = "Build the login") -> list[str]:
    """Record runs of two tasks each and return their ids, oldest first."""

    async def play() -> list[str]:
        settings = Settings(ledger=str(ledger), roles=ROLES)
        async with Orchestrator.open(settings, executors={"script": ScriptedExecutor(reply)}) as forum:
            return [(await forum.submit(request, plan=PLAN)).run_id for _ in range(runs)]

    return anyio.run(play)


def exported(ledger: Path, *, without_bodies: bool = False) -> Path:
    """Write the export of a ledger beside it and return its path."""
    path = ledger.with_name("export.jsonl")
    with Ledger.open(ledger, read_only=True) as record:
        path.write_bytes(b"".join(record.export(without_bodies=without_bodies)))
    return path


def entry_lines(lines: list[bytes]) -> Iterator[int]:
    """Yield the places of the lines that hold entries."""
    return (place for place, line in enumerate(lines) if line.startswith(b'{"t":"entry"'))
