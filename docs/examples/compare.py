"""The same request to two models, A and B: both runs in one ledger, set side by side from their record.

Run it: ``python docs/examples/compare.py``. Both models are scripts, so it needs no network and leaves nothing behind.
With models of yours, drop ``executors=`` and describe them in the settings; the comparison reads only the record, so
``forum-mcp ledger compare RUN_A RUN_B`` shows the same of runs made anywhere.
"""

import sys
import tempfile
from pathlib import Path

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import RoleSettings, Settings
from forum_mcp.engine.compare import compare
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.summary import summarize
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor

REQUEST = "1. Write the table of users 2. Write the login endpoint"


def terse(call: Call) -> Outcome:
    """Answer in a few words."""
    return Outcome(reply=f"{call.task}: done".encode(), served_model="terse-1", tokens_in=40, tokens_out=4)


def thorough(call: Call) -> Outcome:
    """Answer at length, and be out of order when the second task comes."""
    if call.task == "t2":
        return Outcome(error="server-error", detail="out of order")
    text = f"{call.task}: done, with its tests and its documentation"
    return Outcome(reply=text.encode(), served_model="thorough-2", tokens_in=40, tokens_out=60)


async def play(ledger: Path) -> list[str]:
    """Submit the request once to each model and return the ids of the runs."""
    executors = {"terse": ScriptedExecutor(terse), "thorough": ScriptedExecutor(thorough)}
    runs: list[str] = []
    for name in executors:
        settings = Settings(ledger=str(ledger), roles=RoleSettings(worker=[name]))
        async with Orchestrator.open(settings, executors=executors) as forum:
            runs.append((await forum.submit(REQUEST)).run_id)
    return runs


def main() -> bool:
    """Print the comparison and return whether the record of both runs verifies."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        first, second = anyio.run(play, path)
        with Ledger.open(path, read_only=True) as record:
            view = compare(summarize(record, first, verify=False), summarize(record, second))
    for fact in view.facts:
        if fact.a != fact.b:
            print(f"{fact.name}: {fact.a} and {fact.b}")
    for pair in view.tasks:
        if pair.a is not None and pair.b is not None:
            print(f"task {pair.id}: {pair.a.calls} and {pair.b.calls} calls, {pair.a.state} and {pair.b.state}")
    clean = view.b.verified is not None and view.b.verified.clean
    print("the ledger of both is clean" if clean else "the ledger does not verify")
    return clean and view.same_request is True


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
