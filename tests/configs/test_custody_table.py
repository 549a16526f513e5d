"""The table [custody] is read by a server as by the ``ledger`` commands; a wrong key in it is refused."""

from pathlib import Path

import pytest

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import ConfigRefused


def test_the_settings_hold_the_custody_table(tmp_path: Path) -> None:
    (tmp_path / "forum.toml").write_text("[custody]\ncheckpoint_every = 7\n")
    assert load(Flags(config=str(tmp_path / "forum.toml"))).custody.checkpoint_every == 7


@pytest.mark.parametrize("table", ["checkpoint_evry = 7", 'checkpoint_every = "often"', "warn_mb = -1"])
def test_a_wrong_custody_table_is_refused(tmp_path: Path, table: str) -> None:
    (tmp_path / "forum.toml").write_text(f"[custody]\n{table}\n")
    with pytest.raises(ConfigRefused, match="custody"):
        load(Flags(config=str(tmp_path / "forum.toml")))


async def test_a_forum_signs_as_often_as_its_settings_say(tmp_path: Path) -> None:
    (tmp_path / "forum.toml").write_text("[custody]\ncheckpoint_every = 2\n")
    settings = load(Flags(config=str(tmp_path / "forum.toml"), ledger=str(tmp_path / "ledger.db")))
    async with Orchestrator.open(settings) as forum:
        await forum.submit("one thing", single=True)
        kinds = [entry.kind for entry in forum.ledger.show(limit=50).entries]
        assert "checkpoint.signed" in kinds
        assert forum.ledger.verify(level=4).findings == []
