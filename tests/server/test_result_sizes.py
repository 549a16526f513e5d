"""What a call costs of a conversation when nothing is asked for but the default."""

from typing import Any

from forum_mcp.configs.settings import Settings
from tests.server.tokens import tokens

PLAN = {
    "tasks": [
        {"id": "schema", "lane": "database", "instruction": "design the tables"},
        {"id": "api", "lane": "backend", "instruction": "write the endpoint", "depends_on": ["schema"]},
        {"id": "docs", "lane": "technical-writing", "instruction": "write the guide", "depends_on": ["schema"]},
    ]
}


async def test_each_default_result_after_a_run_of_three_tasks_is_at_most_2000_tokens(
    connect: Any, scripted_settings: Settings
) -> None:
    async with connect(scripted_settings) as forum:
        run = await forum.call("submit", request="a small service", plan=PLAN)
        calls: list[tuple[str, dict[str, object]]] = [
            ("submit", {"request": "write a poem"}),
            ("plan", {"request": "write a poem, then test it"}),
            ("route", {"request": "build the database schema and the auth endpoint"}),
            ("run", {"run_id": run["run_id"]}),
            ("run", {}),
            ("work", {"action": "next"}),
            ("ledger_verify", {"level": 4}),
            ("ledger_show", {}),
            ("ledger_show", {"run_id": run["run_id"]}),
            ("ledger_show", {"seq": run["entries"][0], "bodies": False}),
            ("ledger_trace", {"seq": run["entries"][1]}),
            ("ledger_replay", {"run_id": run["run_id"]}),
        ]
        for tool, arguments in calls:
            result = await forum.client.call_tool(tool, arguments)
            assert not result.is_error
            assert tokens(forum.text_of(result)) <= 2_000, tool
            assert tokens(result.structured_content) <= 2_000, tool
