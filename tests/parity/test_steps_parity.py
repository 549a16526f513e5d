"""The optional steps and context, as docs/examples/steps has them, give the same facts on every surface."""

from pathlib import Path
from typing import Final

import pytest

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.configs.settings import Settings
from forum_mcp.engine.orchestrator import Orchestrator
from tests.parity.test_parity import PER_RUN, TIMES, Facts, but, over_cli, over_mcp

CONFIG: Final = Path(__file__).parents[2] / "docs" / "examples" / "steps" / "forum.toml"
REQUEST: Final = "Why do leaves turn yellow in October?"
STEPS: Final = ("classify", "intent", "delivery", "verification")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(Flags(config=str(CONFIG), ledger=str(tmp_path / "ledger.db")))


async def taken(settings: Settings, step: str | None) -> tuple[Facts, Facts, Facts]:
    """Return what Python, MCP and the command line say of a run that takes the step (None: reads context)."""
    wanted: Facts = {"context": ["style"]} if step is None else {step: True}
    flags = ("--context", "style") if step is None else (f"--{step}",)
    async with Orchestrator.open(settings) as forum:
        asked = {} if step is None else {step: True}
        context = ["style"] if step is None else None
        python = await forum.submit(REQUEST, single=True, context=context, **asked)  # type: ignore[arg-type]
        assert forum.ledger.verify(level=4).clean
    mcp = await over_mcp(settings, "submit", request=REQUEST, single=True, **wanted)
    words = ("--config", str(CONFIG), "--ledger", str(settings.ledger), "--single", *flags)
    return python.to_dict(), mcp, over_cli("submit", REQUEST, *words)


@pytest.mark.parametrize("step", [*STEPS, None])
async def test_each_step_gives_the_same_facts_over_mcp_the_cli_and_python(settings: Settings, step: str | None) -> None:
    python, mcp, terminal = await taken(settings, step)
    left_out = PER_RUN | TIMES | {"entry"}
    assert but(python, left_out) == but(mcp, left_out) == but(terminal, left_out)
    if step is None:
        assert python["context"] != []
    elif step != "classify":
        assert python["review"] is not None
