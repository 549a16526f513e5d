"""Every role on a model that cannot do its part: runs end, say what happened, and rules stand in where they can."""

import pytest

from forum_mcp.configs.settings import RoleSettings, StepSettings
from forum_mcp.engine.views import EntryView
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.rules.failures import ErrorClass
from tests.bench.weak_model import ROLES, Figures, count
from tests.engine.stage import Stage, assert_clean

ALL_STEPS = StepSettings(classify=True, intent=True, delivery=True, verification=True)
EVERYBODY = RoleSettings.model_validate({name: ["model"] for name in RoleSettings.model_fields if name != "panelists"})
REQUEST = "zzz qqq fnord, grumbold xyx"
SAID = "The answer is that the answer is that the answer is that. " * 8

REPLIES = {
    "prose": SAID,
    "an echo of the prompt": "",
    "half an object": '{"tasks": [{"id": "t1", "lane": ',
    "the wrong shape": '{"passed": "yes", "met": 1, "lane": 3, "tasks": {}}',
    "numbers that are none": '{"passed": NaN, "met": Infinity, "lane": NaN, "tasks": NaN}',
    "depth without end": '{"a":' * 5_000,
    "a list": "[true, false]",
    "a lone surrogate": '{"lane": "\\ud800", "met": true, "cites": [], "reason": "\\udfff", "passed": true}',
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_roles_that_say_nothing_usable_end_a_run_in_an_honest_answer(stage: Stage, reply: str) -> None:
    def play(call: Call) -> Outcome | str:
        return SAID if call.purpose == "task" else reply or call.prompt.decode()

    for purpose in ROLES:
        setattr(stage.cast, purpose, play)
    stage.cast.task = play
    figures = Figures()
    async with stage.forum(stage.settings(EVERYBODY, steps=ALL_STEPS)) as forum:
        view = await forum.submit(REQUEST, wait_s=60)
        assert view.state in ("succeeded", "failed")
        assert view.answer
        assert view.review is not None
        entries: list[EntryView] = stage.entries(forum)
        assert_clean(forum)
    count(entries, figures)
    assert figures.ends.total() == 1
    for purpose in ("classify", "plan", "validate", "judge", "verify"):
        assert figures.by_rules[purpose] == figures.asked[purpose] >= 1, purpose
        assert figures.repairs[purpose] == figures.asked[purpose], f"{purpose}: one repair each, and no more"


@pytest.mark.parametrize("error", ["refused", "auth", "length", "bad-response"])
async def test_roles_whose_calls_fail_end_a_run_in_an_honest_answer(stage: Stage, error: ErrorClass) -> None:
    failed = Outcome(error=error)

    def fail(_: Call) -> Outcome:
        return failed

    for purpose in ROLES:
        setattr(stage.cast, purpose, fail)
    stage.cast.task = lambda _: SAID
    async with stage.forum(stage.settings(EVERYBODY, steps=ALL_STEPS)) as forum:
        view = await forum.submit(REQUEST, wait_s=60)
        assert_clean(forum)
    assert view.state in ("succeeded", "failed")
    assert view.answer
    assert view.review is not None
    assert (view.review.intent, view.review.verified) == ("undecided", "undecided")
