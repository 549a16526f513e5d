"""The lines of docs/how-to/serve-over-http.md, run as they stand against a server on a free port."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.http_peer import HttpProcess

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve-over-http.md"
TOKEN = "a-token-for-tests-only"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_each_documented_line_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORUM_TOKEN", TOKEN)
    server = HttpProcess(["--ledger", str(tmp_path / "ledger.db")])
    setup, *lines = (
        block.replace("127.0.0.1:8731", f"127.0.0.1:{server.port}")
        for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    )
    found: dict[str, dict[str, Any]] = {}
    run_id = ""
    for line in lines:
        script = f"TOKEN={TOKEN}\nRUN={run_id}\n{setup}\n{line}"
        done = subprocess.run(
            ["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
        )
        result = json.loads(done.stdout)["result"]
        assert not result["isError"], result
        name = re.findall(r"Mcp-Name: (\w+)", line)[0]
        found[name] = result["structuredContent"]
        run_id = found[name].get("run_id", run_id)
    assert server.stop() == 0
    assert list(found) == ["route", "plan", "submit", "run", "ledger_verify", "ledger_replay"]
    assert found["run"]["run_id"] == found["submit"]["run_id"]
    assert found["ledger_verify"]["clean"] is True
    assert found["ledger_replay"]["size"] == 4
