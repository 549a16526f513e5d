"""A server for strangers: a team that answers after some seconds, a line of progress every half second.

usage: python -m tests.clients.serve DIRECTORY [http]      (over stdio, or as ``forum-mcp serve --http --port 0`` does)
"""

import json
import sys
from pathlib import Path

from forum_mcp.cli.serve import HttpOptions, speak_http
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.server.stdio import serve
from forum_mcp.tools import caller


def flags_of(where: Path) -> Flags:
    """Write the team down where it is not yet."""
    script, config = where / "script.json", where / "config.toml"
    if not config.exists():
        script.write_text(json.dumps({"replies": [], "default": {"reply": "roses", "delay_ms": 1_500}}))
        config.write_text(
            f"ledger = {json.dumps(str(where / 'ledger.db'))}\n[roles]\nworker = ['team']\n"
            f"[executors.team]\ntype = 'scripted'\nscript = {json.dumps(str(script))}\n"
        )
    return Flags(config=str(config))


caller.TICK_S = 0.5
given = flags_of(Path(sys.argv[1]))
sys.exit(speak_http(given, HttpOptions(port=0)) if "http" in sys.argv[2:] else serve(load(given)))
