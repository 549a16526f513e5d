"""The steps around the answer: who is asked, what is recorded, and that nothing of it ever blocks a run."""

import json
import sys

import pytest

from forum_mcp.configs.settings import ExecutorSettings, LimitSettings, PolicySettings, RoleSettings, StepSettings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.summary import summarize
from forum_mcp.engine.views import EntryView, Review, RunView
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from tests.engine.stage import Stage, assert_clean, plan_of

REQUEST = "Explain photosynthesis in green plants"
COVERING = "Photosynthesis: green plants turn light, water and air into sugar."
LINE = "The table of users holds the name, the mail address and the hash of the password. "
READS_BOTH = "import json, sys; sys.exit(json.load(sys.stdin) != {'answer': 'fine', 'request': 'Say fine'})"
ROLES = RoleSettings(worker=["model"], classifier=["model"], judge=["model"], reviser=["model"], verifier=["model"])


def purposes(stage: Stage) -> list[str]:
    return [call.purpose for call in stage.cast.received]


def only(entries: list[EntryView]) -> EntryView:
    [entry] = entries
    return entry


def text(entry: EntryView, body: str) -> str:
    return str(entry.bodies[body]["text"])


async def run(stage: Stage, request: str = REQUEST, roles: RoleSettings = ROLES, **steps: bool) -> RunView:
    async with stage.forum(stage.settings(roles, steps=StepSettings(**steps))) as forum:
        view = await forum.submit(request, single=True, wait_s=30)
        assert_clean(forum)
        return view


async def recorded(stage: Stage, kind: str) -> list[EntryView]:
    async with stage.forum() as forum:
        return stage.entries(forum, kind)


async def test_no_model_is_called_where_the_floors_pass(stage: Stage) -> None:
    stage.cast.task = lambda _: COVERING
    view = await run(stage, intent=True, delivery=True, classify=True)
    assert purposes(stage).count("judge") == purposes(stage).count("revise") == 0
    assert view.review == Review(intent="covered", missing=[], delivery=[])
    assert view.state == "succeeded"
    assert only(await recorded(stage, "answer.intent")).data["passed"] is True
    assert await recorded(stage, "answer.judged") == []
    assert await recorded(stage, "answer.revised") == []


async def test_without_the_steps_nothing_is_asked_or_recorded(stage: Stage) -> None:
    view = await run(stage)
    assert purposes(stage) == ["task"]
    assert view.review is None
    async with stage.forum() as forum:
        assert {entry.kind for entry in stage.entries(forum) if entry.kind.startswith("answer.")} == {
            "answer.synthesized"
        }


async def test_the_classifier_is_not_asked_where_the_router_decides(stage: Stage) -> None:
    view = await run(stage, "build the database schema", classify=True)
    assert (view.route_by, purposes(stage)) == ("rules", ["task"])
    view = await run(stage, "zzz qqq", classify=False)
    assert (view.route_by, purposes(stage)) == ("rules", ["task", "task"])


async def test_where_the_router_abstains_the_classifier_names_the_lane(stage: Stage) -> None:
    view = await run(stage, "zzz qqq", classify=True)
    assert (view.route_by, view.lane) == ("classifier", "backend")
    entry = only(await recorded(stage, "route.decided"))
    assert entry.actor == "classifier"
    assert (entry.data["by"], entry.data["lane"], entry.data["confidence_ppm"]) == ("classifier", "backend", 750_000)
    call = stage.cast.received[0]
    assert call.purpose == "classify"
    assert b"zzz qqq" in call.prompt
    assert "backend" in json.loads(call.schema or b"")["properties"]["lane"]["enum"]
    assert stage.cast.received[1].purpose == "task"


async def test_a_classifier_that_finds_no_lane_leaves_the_general_one(stage: Stage) -> None:
    stage.cast.classify = lambda _: '{"lane": null, "confidence": 0.9}'
    view = await run(stage, "zzz qqq", classify=True)
    assert (view.route_by, view.lane) == ("classifier", "general")


async def test_an_unusable_classification_is_shown_once_and_then_rules_decide(stage: Stage) -> None:
    stage.cast.classify = lambda _: '{"lane": "unicorns", "confidence": 1}'
    view = await run(stage, "zzz qqq", classify=True)
    assert (view.route_by, view.lane) == ("rules", "general")
    asked = [call for call in stage.cast.received if call.purpose == "classify"]
    assert len(asked) == 2
    assert b"'unicorns' is none of the listed lanes" in asked[1].prompt
    assert view.state == "succeeded"


async def test_a_lane_that_policy_forbids_is_neither_offered_nor_taken(stage: Stage) -> None:
    settings = stage.settings(ROLES, steps=StepSettings(classify=True), policy=PolicySettings(deny_lanes=["backend"]))
    async with stage.forum(settings) as forum:
        view = await forum.submit("zzz qqq", single=True, wait_s=30)
        assert_clean(forum)
    assert (view.route_by, view.lane) == ("rules", "general")
    assert all(b"- backend:" not in call.prompt for call in stage.cast.received if call.purpose == "classify")


async def test_a_classifier_that_fails_costs_the_run_nothing_but_the_try(stage: Stage) -> None:
    stage.cast.classify = lambda _: Outcome(error="refused")
    view = await run(stage, "zzz qqq", classify=True)
    assert (view.route_by, view.lane, view.state) == ("rules", "general", "succeeded")


async def test_where_words_do_not_tell_the_judge_is_given_the_judged_results_and_cites_them(stage: Stage) -> None:
    def judge(call: Call) -> str:
        cited = call.prompt.decode().partition("Result in entry ")[2].partition(":")[0]
        return json.dumps({"met": False, "reason": "it is about fish", "missing": ["plants"], "cites": [int(cited)]})

    stage.cast.task = lambda _: "Fish swim."
    stage.cast.judge = judge
    view = await run(stage, intent=True)
    assert purposes(stage) == ["task", "judge"]
    assert b"Fish swim." in stage.cast.received[1].prompt
    assert view.review == Review(intent="unmet", intent_reason="it is about fish", missing=["plants"])
    assert (view.state, view.answer) == ("succeeded", "Fish swim.")
    floor = only(await recorded(stage, "answer.intent"))
    assert (floor.data["passed"], floor.data["terms"], floor.data["covered"]) == (False, 3, 0)
    assert json.loads(text(floor, "missing")) == ["photosynthesis", "green", "plants"]
    judged = only(await recorded(stage, "answer.judged"))
    verdict = only(await recorded(stage, "task.judged"))
    assert judged.data["cites"] == [verdict.seq]
    assert {floor.seq, verdict.seq} < set(judged.parents)


async def test_a_judge_that_cites_what_it_was_not_shown_is_told_so_and_then_not_believed(stage: Stage) -> None:
    stage.cast.task = lambda _: "Fish swim."
    stage.cast.judge = lambda _: '{"met": true, "reason": "", "missing": [], "cites": [0]}'
    view = await run(stage, intent=True)
    assert purposes(stage) == ["task", "judge", "judge"]
    assert b"the entries shown are: " in stage.cast.received[2].prompt
    assert view.review is not None
    assert view.review.intent == "undecided"
    assert only(await recorded(stage, "answer.judged")).data["by"] == "rules"
    assert view.state == "succeeded"


async def test_without_a_judge_the_answer_is_flagged_as_unclear(stage: Stage) -> None:
    stage.cast.task = lambda _: "Fish swim."
    view = await run(stage, roles=RoleSettings(worker=["model"]), intent=True)
    assert view.review == Review(intent="unclear", missing=["photosynthesis", "green", "plants"])
    assert purposes(stage) == ["task"]


async def test_what_the_results_held_and_the_answer_lost_is_counted(stage: Stage) -> None:
    stage.cast.plan = lambda _: plan_of(("a", []), ("b", []))
    stage.cast.task = lambda call: COVERING if call.task == "a" else "Fish swim."
    stage.cast.synthesize = lambda _: "Fish swim."
    roles = RoleSettings(coordinator=["model"], worker=["model"], synthesizer=["model"])
    async with stage.forum(stage.settings(roles, steps=StepSettings(intent=True))) as forum:
        await forum.submit(REQUEST, wait_s=30)
        assert only(stage.entries(forum, "answer.intent")).data["lost"] == 3
        assert_clean(forum)


async def test_a_shorter_answer_that_covers_as_much_stands_in_the_place_of_the_first(stage: Stage) -> None:
    stage.cast.task = lambda _: LINE * 6
    stage.cast.revise = lambda _: LINE.strip()
    view = await run(stage, "Describe the table of users", delivery=True)
    assert view.answer == LINE.strip()
    assert view.review == Review(delivery=["repetition"], revised=True)
    call = next(call for call in stage.cast.received if call.purpose == "revise")
    assert LINE.encode() * 6 in call.prompt
    revised = only(await recorded(stage, "answer.revised"))
    assert (revised.data["accepted"], revised.actor) == (True, "reviser")
    assert only(await recorded(stage, "answer.delivery")).seq in revised.parents


@pytest.mark.parametrize(
    ("reply", "because"),
    [
        (LINE * 7, "not-shorter"),
        ("Users.", "covers-less"),
        ("Table of users.", "covers-less"),
        ("The name, the mail address and the hash of the password.", "covers-less"),
        (Outcome(error="refused"), "no-reply"),
    ],
)
async def test_an_answer_stays_as_it_was_unless_a_shorter_one_says_no_less(
    stage: Stage, reply: str | Outcome, because: str
) -> None:
    stage.cast.task = lambda _: LINE * 6
    stage.cast.revise = lambda _: reply
    view = await run(stage, "Describe the table of users", delivery=True)
    assert view.answer == LINE * 6
    assert view.review == Review(delivery=["repetition"], revised=False)
    assert only(await recorded(stage, "answer.revised")).data["because"] == because
    assert view.state == "succeeded"


async def test_an_answer_too_long_for_the_reviser_is_left_alone(stage: Stage) -> None:
    small = {"small": ExecutorSettings(type="host", context_tokens=100)}
    stage.cast.task = lambda _: LINE * 6
    roles = RoleSettings(worker=["model"], reviser=["small"])
    async with stage.forum(stage.settings(roles, steps=StepSettings(delivery=True), extra=small)) as forum:
        await forum.submit("Describe the table of users", single=True, wait_s=30)
        assert only(stage.entries(forum, "answer.revised")).data["because"] == "too-long"
        assert_clean(forum)


async def test_rules_drop_what_stands_twice_where_no_model_revises(stage: Stage) -> None:
    stage.cast.task = lambda _: f"{LINE}\n\n" * 6
    view = await run(stage, "Describe the table of users", RoleSettings(worker=["model"]), delivery=True)
    assert view.review == Review(delivery=["repetition"], revised=True)
    assert (view.answer or "").strip() == LINE.strip()
    assert only(await recorded(stage, "answer.revised")).data["by"] == "rules"


async def test_a_revision_keeps_the_lines_about_what_failed(stage: Stage) -> None:
    stage.cast.plan = lambda _: plan_of(("a", []), ("b", []))
    stage.cast.task = lambda call: Outcome(error="refused") if call.task == "b" else LINE * 6
    stage.cast.revise = lambda _: LINE.strip()
    roles = RoleSettings(coordinator=["model"], worker=["model"], reviser=["model"])
    async with stage.forum(stage.settings(roles, steps=StepSettings(delivery=True))) as forum:
        view = await forum.submit("Describe the table of users", wait_s=30)
        assert view.answer == f"{LINE.strip()}\n\nFailed, not part of this answer: b."
        assert b"not part of this answer" not in stage.cast.received[-1].prompt
        assert_clean(forum)


async def test_a_model_verifies_the_answer_as_it_stands(stage: Stage) -> None:
    stage.cast.task = lambda _: LINE * 6
    stage.cast.revise = lambda _: LINE.strip()
    stage.cast.verify = lambda _: '{"passed": false, "reason": "no such table"}'
    view = await run(stage, "Describe the table of users", delivery=True, verification=True)
    assert view.review is not None
    assert (view.review.verified, view.review.verified_reason) == ("failed", "no such table")
    assert view.state == "succeeded"
    assert stage.cast.received[-1].prompt.count(LINE.strip().encode()) == 1
    verified = only(await recorded(stage, "answer.verified"))
    assert (verified.data["by"], verified.actor) == ("reply", "verifier")
    assert only(await recorded(stage, "answer.revised")).seq in verified.parents


async def test_a_verifier_that_cannot_be_understood_decides_nothing(stage: Stage) -> None:
    stage.cast.verify = lambda _: "looks good to me"
    view = await run(stage, verification=True)
    assert purposes(stage) == ["task", "verify", "verify"]
    assert view.review is not None
    assert view.review.verified == "undecided"
    assert view.state == "succeeded"


@pytest.mark.parametrize(
    ("script", "verdict", "by"),
    [
        (READS_BOTH, "passed", "exit-code"),
        ("print('3 of 5 checks failed'); raise SystemExit(1)", "failed", "exit-code"),
        ("print('{\"passed\": false, \"reason\": \"no\", \"checks\": 5}')", "failed", "reply"),
        ("print('{\"passed\": true}'); raise SystemExit(2)", "failed", "exit-code"),
        ("print('all good')", "passed", "exit-code"),
        ("import os; os.kill(os.getpid(), 9)", "undecided", "signal"),
    ],
)  # fmt: skip
async def test_a_command_verifies_by_its_exit_code_or_by_what_it_says(
    stage: Stage, script: str, verdict: str, by: str
) -> None:
    stage.cast.task = lambda _: "fine"
    checker = {"checker": ExecutorSettings(type="command", argv=[sys.executable, "-c", script])}
    roles = RoleSettings(worker=["model"], verifier=["checker"])
    async with stage.forum(stage.settings(roles, steps=StepSettings(verification=True), extra=checker)) as forum:
        view = await forum.submit("Say fine", single=True, wait_s=30)
        assert_clean(forum)
        verified = only(stage.entries(forum, "answer.verified"))
    assert (verified.data["verdict"], verified.data["by"]) == (verdict, by)
    assert view.state == "succeeded"


@pytest.mark.parametrize("calls", range(1, 5))
async def test_a_budget_that_ends_before_the_steps_takes_no_answer_away(stage: Stage, calls: int) -> None:
    stage.cast.task = lambda _: LINE * 6
    stage.cast.revise = lambda _: LINE.strip()
    settings = stage.settings(
        ROLES, steps=StepSettings(intent=True, delivery=True, verification=True), limits=LimitSettings(calls=calls)
    )
    async with stage.forum(settings) as forum:
        view = await forum.submit("Tell me of fish", single=True, wait_s=30)
        assert (view.state, view.spent.calls) == ("succeeded", calls)
        assert (view.answer or "").startswith(LINE.strip())
        assert_clean(forum)


async def test_a_caller_switches_the_steps_of_one_run(stage: Stage) -> None:
    stage.cast.task = lambda _: "Fish swim."
    async with stage.forum(stage.settings(ROLES, steps=StepSettings(intent=True, delivery=True))) as forum:
        off = await forum.submit(REQUEST, single=True, intent=False, delivery=False, wait_s=30)
        on = await forum.submit(REQUEST, single=True, delivery=False, verification=True, wait_s=30)
        assert off.review is None
        assert on.review is not None
        assert (on.review.intent, on.review.delivery, on.review.verified) == ("met", None, "passed")
        assert_clean(forum)


async def test_a_cancel_while_the_judge_is_asked_seals_the_run_as_cancelled(stage: Stage) -> None:
    async def cancel(call: Call) -> str:
        await forum.cancel(call.run)
        return "never read"

    stage.cast.task = lambda _: "Fish swim."
    stage.cast.judge = cancel
    async with stage.forum(stage.settings(ROLES, steps=StepSettings(intent=True))) as opened:
        forum: Orchestrator = opened
        view = await forum.submit(REQUEST, single=True, wait_s=30)
        assert (view.state, view.answer) == ("cancelled", "Fish swim.")
        assert_clean(forum)


@pytest.mark.parametrize("step", ["classify", "intent", "delivery", "verification"])
async def test_an_opinion_that_the_budget_has_no_room_for_stops_nothing(stage: Stage, step: str) -> None:
    stage.cast.task = lambda _: LINE * 6
    dear = {"dear": ExecutorSettings(type="scripted", script="-", max_tokens=1_000_000)}
    roles = RoleSettings(worker=["model"], classifier=["dear"], judge=["dear"], reviser=["dear"], verifier=["dear"])
    settings = stage.settings(
        roles,
        steps=StepSettings.model_validate({step: True}),
        limits=LimitSettings(tokens=20_000),
        extra=dear,
    )
    executors = {"model": ScriptedExecutor(stage.cast), "dear": ScriptedExecutor(stage.cast)}
    async with Orchestrator.open(settings, executors=executors) as forum:
        view = await forum.submit("zzz qqq fish", single=True, wait_s=30)
        assert_clean(forum)
        assert stage.entries(forum, "budget.stopped") == []
    assert (view.state, purposes(stage)) == ("succeeded", ["task"])
    assert view.route_by == "rules"


async def test_the_figures_of_a_run_say_what_its_steps_came_to(stage: Stage) -> None:
    stage.cast.task = lambda _: LINE * 6
    stage.cast.revise = lambda _: LINE.strip()
    settings = stage.settings(ROLES, steps=StepSettings(classify=True, intent=True, delivery=True, verification=True))
    async with stage.forum(settings) as forum:
        view = await forum.submit("zzz qqq", single=True, wait_s=30)
        figures = summarize(forum.ledger, view.run_id, verify=False)
    assert figures.steps == {
        "routed by classifier": 1,
        "covered no": 1,
        "intent met": 1,
        "concise no": 1,
        "revised yes": 1,
        "verification passed": 1,
    }
