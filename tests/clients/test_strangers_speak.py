"""Other people's clients and checks, against the server as a process.

``FORUM_TEST_CLIENTS`` names a directory with the npm packages below in ``node_modules`` and a Python environment with
the PyPI ones in ``venv``; ``tests/clients/install`` makes one. What is not there is skipped, by name.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
INSTALLED: Final = Path(os.environ.get("FORUM_TEST_CLIENTS", "/nowhere"))
BIN: Final = INSTALLED / "node_modules" / ".bin"

pytestmark = pytest.mark.skipif(
    "FORUM_TEST_CLIENTS" not in os.environ, reason="FORUM_TEST_CLIENTS names no directory with other people's clients"
)


def needed(path: Path) -> str:
    """Return the path of a program, or skip."""
    if not path.exists():
        pytest.skip(f"{path.name} is not in FORUM_TEST_CLIENTS")
    return str(path)


def ran(*command: str) -> str:
    """Run a command that must succeed; return what it said."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=HERE.parents[1], timeout=240, check=False
    )
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-3_000:]
    return ended.stdout


@pytest.fixture
def server(tmp_path: Path) -> list[str]:
    """Command of a server with a team that takes its time."""
    return [sys.executable, str(HERE / "serve.py"), str(tmp_path)]


@pytest.fixture
def bare(tmp_path: Path) -> list[str]:
    """Command of the server as people start it."""
    return [sys.executable, "-m", "forum_mcp.cli", "--ledger", str(tmp_path / "ledger.db")]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_client_of_the_typescript_sdk(server: list[str], version: str) -> None:
    node = needed(BIN / "node")
    assert "verified" in ran(node, str(HERE / "speak.mjs"), version, *server)


def test_a_client_of_fastmcp(server: list[str]) -> None:
    python = needed(INSTALLED / "venv" / "bin" / "python")
    assert "verified" in ran(python, str(HERE / "fastmcp_client.py"), *server)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_no_fault_with_our_schemas(bare: list[str], era: str) -> None:
    inspector = needed(BIN / "mcp-inspector")
    said = ran(
        inspector, "--cli", "--protocol-era", era, *bare, "--method", "tools/list", "--strict", "--format", "json", "-q"
    )  # it fails where a schema has an error
    assert said.count('"inputSchema"') == 10


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_calls_reads_and_prompts(bare: list[str], era: str) -> None:
    inspector = [needed(BIN / "mcp-inspector"), "--cli", "--protocol-era", era, *bare, "--format", "json", "-q"]
    assert "database" in ran(
        *inspector, "--method", "tools/call", "--tool-name", "route", "--tool-arg", "request=a database schema"
    )
    assert "under_way" in ran(*inspector, "--method", "resources/read", "--uri", "forum://status")
    assert "ledger_verify" in ran(*inspector, "--method", "prompts/get", "--prompt-name", "audit")


def test_the_doctors_fuzzing_finds_no_crash(bare: list[str]) -> None:
    doctor = needed(INSTALLED / "venv" / "bin" / "mcp-doctor")
    assert "100" in ran(doctor, "fuzz", "--fail-under", "100", "--", *bare)
