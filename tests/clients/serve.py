"""A server for strangers: a team that answers after some seconds, progress every second. usage: serve.py DIRECTORY"""

import json
import sys
from pathlib import Path

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.server.stdio import serve
from forum_mcp.tools import caller

where = Path(sys.argv[1])
script = where / "script.json"
if not script.exists():
    script.write_text(json.dumps({"replies": [], "default": {"reply": "roses", "delay_ms": 1_500}}))
caller.TICK_S = 0.5
settings = Settings(
    ledger=str(where / "ledger.db"),
    executors={"team": ExecutorSettings(type="scripted", script=str(script))},
    roles=RoleSettings(worker=["team"]),
)
sys.exit(serve(settings))
