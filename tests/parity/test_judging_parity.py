"""Ladders, checks and a panel, as docs/examples/judging has them, give the same facts on every surface."""

import json
from pathlib import Path
from typing import Final

import msgspec
import pytest

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.engine.orchestrator import Orchestrator
from tests.parity.test_parity import PER_RUN, TIMES, Facts, but, over_cli, over_mcp

FOLDER: Final = Path(__file__).parents[2] / "docs" / "examples" / "judging"
REQUEST: Final = "Describe the table of users"


def told(facts: Facts) -> list[tuple[object, ...]]:
    """Return what is said of each task."""
    tasks = msgspec.convert(facts["tasks"], list[dict[str, object]])
    return [tuple(task[name] for name in ("id", "state", "verdict", "executor", "error")) for task in tasks]


@pytest.mark.parametrize("on", [True, False])
async def test_a_ladder_and_a_panel_are_the_same_over_mcp_the_cli_and_python(tmp_path: Path, *, on: bool) -> None:
    config, ledger = str(FOLDER / "forum.toml"), str(tmp_path / "ledger.db")
    settings = load(Flags(config=config, ledger=ledger))
    plan = json.loads((FOLDER / "plan.json").read_text(encoding="utf-8"))
    async with Orchestrator.open(settings) as forum:
        python = (await forum.submit(REQUEST, plan=plan, escalate=on, panel=on)).to_dict()
        assert forum.ledger.verify(level=4).clean
    mcp = await over_mcp(settings, "submit", request=REQUEST, plan=plan, escalate=on, panel=on)
    flags = ("--escalate", "--panel") if on else ("--no-escalate", "--no-panel")
    words = ("--config", config, "--ledger", ledger, "--plan", str(FOLDER / "plan.json"), *flags)
    terminal = over_cli("submit", REQUEST, *words)
    left_out = PER_RUN | TIMES
    assert but(python, left_out) == but(mcp, left_out) == but(terminal, left_out)
    table = ("table", "succeeded", "passed", "strong", None) if on else ("table", "failed", "failed", "fast", None)
    assert told(python)[0] == table
