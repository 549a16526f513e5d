"""Ladders, lanes and checks of the settings: what is refused, and in which words."""

import os

import pytest

from forum_mcp.configs.settings import (
    ExecutorSettings,
    LaneSettings,
    PolicySettings,
    RoleSettings,
    Settings,
)
from forum_mcp.engine.assembly import contract_of, executors_of, roster_of
from forum_mcp.engine.event_scrubbing import scrubber_of
from forum_mcp.errors import ConfigRefused
from forum_mcp.rules.contract import Contract

EXECUTORS = {
    "agent": ExecutorSettings(type="command", argv=["cat"]),
    "other": ExecutorSettings(type="command", argv=["tac"]),
    "server": ExecutorSettings(type="chat", url="http://127.0.0.1:1/v1", model="m"),
}


def made(**tables: object) -> Contract:
    """Return the contract of settings with these tables."""
    worker = {"roles": RoleSettings(worker=["agent"]), **tables}
    settings = Settings.model_validate({"ledger": ":memory:", "executors": EXECUTORS, **worker})
    scrubber = scrubber_of(settings, os.environ)
    return contract_of(settings, executors_of(settings, {}), roster_of(settings), scrubber)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"roles": RoleSettings(worker=["agent+agent"])}, "names an executor twice"),
        ({"roles": RoleSettings(worker=["agent+host"])}, "'rules' and 'host' take no turns"),
        ({"roles": RoleSettings(worker=["agent+"])}, "role worker is bound to ''; executors are: agent, host"),
        ({"checks": {"tests": "server"}}, "checks.tests is bound to 'server' of type 'chat', which has no exit code"),
        ({"checks": {"tests": "agnt"}}, "which is no executor; did you mean 'agent'?"),
        (
            {"policy": PolicySettings(done_when=["check: lint"])},
            "policy.done_when: criterion 'check: lint' names a check",
        ),
        ({"policy": PolicySettings(escalate_on=["timeuot"])}, "did you mean 'timeout'?"),
        ({"lanes": {"databse": LaneSettings()}}, "lanes.databse is not in the roster; did you mean 'database'?"),
        ({"tiers": {"huge": LaneSettings()}}, "tiers.huge is not in the roster"),
        ({"lanes": {"database": LaneSettings(worker=["rules"])}}, "lanes.database.worker is bound to 'rules'"),
        ({"lanes": {"database": LaneSettings(done_when=["matches: ("])}}, "has a pattern that is not taken"),
    ],
)
def test_what_cannot_work_is_refused_and_says_what_to_mend(tables: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        made(**tables)
    assert words in str(refused.value)


def test_a_lane_s_own_table_comes_before_its_category_s_and_its_tier_s() -> None:
    plain = made()
    assert plain.lanes == {}
    found = made(
        lanes={"database": LaneSettings(worker=["other"], done_when=["json"])},
        categories={"engineering": LaneSettings(worker=["server"], validator=["server"], done_when=["lacks: TODO"])},
    )
    own, beside = found.lanes["database"], found.lanes["backend"]
    assert (own.worker, own.validator, own.done_when) == (["other"], ["server"], ["json", "lacks: TODO"])
    assert (beside.worker, beside.done_when) == (["server"], ["lacks: TODO"])
    assert {"agent", "other", "server"} <= set(found.executors)
    assert found.ladder("worker", "general") == ["agent"]
