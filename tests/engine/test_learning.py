import json
from pathlib import Path

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.learning import learned
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from tests.cli.commands import forum

PLAN: dict[str, object] = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "first"},
        {"id": "b", "lane": "frontend", "instruction": "second"},
    ]
}


def scripted(tmp_path: Path, reply: str) -> ExecutorSettings:
    path = tmp_path / f"{reply or 'empty'}.json"
    path.write_text(json.dumps({"default": {"reply": reply}}))
    return ExecutorSettings(type="scripted", script=str(path))


async def test_the_record_tells_who_earned_passing_verdicts_in_which_lane(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.db")
    both = {"good": scripted(tmp_path, "done"), "bad": scripted(tmp_path, "")}
    for worker, times in (("good", 5), ("bad", 5)):
        settings = Settings(ledger=ledger, executors=both, roles=RoleSettings(worker=[worker]))
        async with Orchestrator.open(settings) as forum_:
            for _ in range(times):
                await forum_.submit("two things", plan=PLAN)
            told = learned(forum_.ledger.store)
            size = forum_.ledger.size
            learned(forum_.ledger.store)
            assert forum_.ledger.size == size
    assert told.runs == 10
    rows = {(row.lane, row.model): row for row in told.rows}
    assert rows["backend", "good"].passed == rows["frontend", "good"].passed == 5
    assert rows["backend", "bad"].passed == 0
    assert rows["backend", "bad"].failed == 5
    assert [row.model for row in told.rows if row.lane == "backend"] == ["good", "bad"]
    assert told.advice[0].startswith("backend: good passed 5 of 5")
    done = forum("route", "--learn", "--json", "--ledger", ledger)
    assert done.json()["rows"] == [row.to_dict() for row in told.rows]
    assert "good passed 5 of 5" in forum("route", "--learn", "--ledger", ledger).out
    with Ledger.open(ledger, read_only=True) as record:
        assert learned(record.store, limit=2).runs == 2
