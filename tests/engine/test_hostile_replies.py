"""What a model says is text: no plan, schema or verdict of it stops a run, runs for ever or reaches the network."""

import socket

import anyio
import pytest

from forum_mcp.configs.settings import RoleSettings
from forum_mcp.errors import PlanRefused
from tests.engine.stage import WORKER, Stage, assert_clean

PLANNED = RoleSettings(coordinator=["model"], worker=["model"])
DEEP = "[" * 600 + "]" * 600


def plan_with(member: str) -> str:
    return '{"tasks":[{"id":"a","lane":"backend","instruction":"x",' + member + "}]}"


@pytest.mark.parametrize(
    "reply",
    [
        plan_with('"instruction":"x \\ud800"'),
        plan_with('"done_when":["\\ud800"]'),
        plan_with('"\\ud800":1'),
        plan_with('"schema":{"\\ud800":1}'),
        plan_with('"schema":{"const":NaN}'),
        plan_with('"schema":{"minimum":' + "9" * 5000 + "}"),
        plan_with('"schema":{"const":' + DEEP + "}"),
        plan_with('"schema":{"$ref":"http://127.0.0.1:9/schema"}'),
        plan_with('"schema":{"properties":{"pattern":{"pattern":"(a+)+$"}}}'),
        plan_with('"schema":{"pattern":"' + "(" * 3_000 + ")" * 3_000 + '"}'),
        plan_with('"schema":{"default":{"pattern":"(a+)+$"},"$ref":"#/default"}'),
        plan_with('"schema":{"allOf":[{"unevaluatedProperties":{}}]}'),
        '{"a":' * 40_000,
        '{"a":["' * 28_000,
    ],
    ids=range(14),
)
async def test_a_plan_that_could_not_be_recorded_or_checked_is_refused_and_rules_plan(stage: Stage, reply: str) -> None:
    stage.cast.plan = lambda _: reply
    async with stage.forum(stage.settings(PLANNED)) as forum:
        with anyio.fail_after(10):
            view = await forum.submit("build the api", wait_s=60)
        assert view.state == "succeeded"
        assert view.plan_by == "rules"
        assert_clean(forum)


async def test_a_verdict_that_could_not_be_recorded_is_none(stage: Stage) -> None:
    stage.cast.validate = lambda _: '{"passed": false, "reason": "\\ud800", "evidence": ""}'
    async with stage.forum(stage.settings(RoleSettings(worker=["model"], validator=["model"]))) as forum:
        view = await forum.submit("build the api", single=True, wait_s=60)
        assert view.unvalidated == ["t1"]
        assert_clean(forum)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#"}, "refers to itself without end"),
        ({"$ref": "#/$defs/none"}, "which it does not hold"),
        (
            {
                "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 3} for n in range(10)} | {"d10": {}},
                "$ref": "#/$defs/d0",
            },
            "without end",
        ),
        ({"minimum": 5}, "1 is less than the minimum of 5"),
    ],
)
async def test_a_schema_that_leads_nowhere_fails_its_task_and_not_its_run(
    stage: Stage, schema: dict[str, object], words: str
) -> None:
    stage.cast.task = lambda _: "1"
    plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": "count", "schema": schema}]}
    async with stage.forum(stage.settings(WORKER)) as forum:
        with anyio.fail_after(10):
            view = await forum.submit("count", plan=plan, wait_s=60)
        assert view.failed == ["a"]
        assert words in (view.tasks[0].reason or "")
        assert_clean(forum)


async def test_local_references_and_properties_named_like_keywords_are_taken(stage: Stage) -> None:
    stage.cast.task = lambda _: '{"pattern": 3, "$ref": "x"}'
    schema = {
        "$defs": {"whole": {"type": "integer"}},
        "properties": {"pattern": {"$ref": "#/$defs/whole"}, "$ref": {"enum": ["x", {"$ref": "http://not.one"}]}},
    }
    plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": "count", "schema": schema}]}
    async with stage.forum(stage.settings(WORKER)) as forum:
        assert (await forum.submit("count", plan=plan, wait_s=60)).state == "succeeded"
        assert_clean(forum)


async def test_no_schema_is_fetched_from_anywhere(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        schema = {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema"}
        plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": "count", "schema": schema}]}
        async with stage.forum(stage.settings(WORKER)) as forum:
            with pytest.raises(PlanRefused, match="nothing is fetched"):
                await forum.submit("count", plan=plan)
            assert forum.ledger.size == 1
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
