"""Do a run's work as the calling assistant, offline: ``python docs/examples/work.py``.

With no model configured the tasks are parked as items of work, and two workers do them side by side. Then the process
ends, and another goes on with the run: what was done stays done.
"""

import sys
import tempfile
from pathlib import Path

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import Settings

PLAN = {
    "tasks": [
        {"id": "left", "lane": "backend", "instruction": "Write the left half."},
        {"id": "right", "lane": "backend", "instruction": "Write the right half."},
        {"id": "both", "lane": "technical-writing", "instruction": "Join them.", "depends_on": ["left", "right"]},
    ]
}


async def work(forum: Orchestrator, run: str, worker: str, most: int) -> None:
    """Take items and hand them back until nothing is on offer, at most ``most`` of them."""
    for _ in range(most):
        items = (await forum.work_next(run, client=worker)).items
        if not items:
            return
        [item] = items
        print(f"{worker} does item {item.item}: {item.purpose} {item.task or ''}")
        await forum.work_complete(item.item, f"{item.task or 'the answer'}, by {worker}", client=worker)


async def main() -> bool:
    """Return whether the run succeeded, no item was done twice, and the ledger verifies."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(ledger=str(Path(home) / "ledger.db"))
        async with Orchestrator.open(settings) as forum:
            run = (await forum.submit("Write both halves and join them.", plan=PLAN)).run_id
            async with anyio.create_task_group() as group:
                group.start_soon(work, forum, run, "one", 1)
                group.start_soon(work, forum, run, "two", 1)
        async with Orchestrator.open(settings) as forum:
            await forum.resume(run, wait_s=0)
            await work(forum, run, "three", 9)
            view = await forum.run(run, wait_s=10)
            print(f"{view.state}: {view.answer}")
            returned = forum.ledger.show(run_id=run, kind="work.returned", limit=100).entries
            verified = forum.ledger.verify(level=4, checkpoint=view.checkpoint)
            print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
    items = [entry.data["call"] for entry in returned]
    return view.state == "succeeded" and verified.clean and len(items) == len(set(items)) >= len(PLAN["tasks"])


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
