"""Other people's clients and checks, against the server as a process, over stdio and over HTTP.

``FORUM_TEST_CLIENTS`` names a directory with the npm packages below in ``node_modules`` and a Python environment with
the PyPI ones in ``venv``; ``tests/clients/install`` makes one. What is not there is skipped, by name.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.server.http_peer import HttpProcess

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


TRANSPORTS: Final = ("stdio", "http")
TOKEN: Final = "a-token-for-strangers"


@pytest.fixture(params=TRANSPORTS)
def server(request: pytest.FixtureRequest, tmp_path: Path, token: None) -> Iterator[list[str]]:
    """Command, or URL, of a server with a team that takes its time."""
    if request.param == "stdio":
        yield [sys.executable, "-m", "tests.clients.serve", str(tmp_path)]
        return
    process = HttpProcess([str(tmp_path), "http"], module=("tests.clients.serve",))
    yield [f"{process.url}/mcp"]
    assert process.stop() == 0


@pytest.fixture(params=TRANSPORTS)
def bare(request: pytest.FixtureRequest, tmp_path: Path, token: None) -> Iterator[list[str]]:
    """Command, or URL, of the server as people start it."""
    words = ["--ledger", str(tmp_path / "ledger.db")]
    if request.param == "stdio":
        yield [sys.executable, "-m", "forum_mcp.cli", *words]
        return
    process = HttpProcess(words)
    yield [f"{process.url}/mcp"]
    assert process.stop() == 0


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients and servers over HTTP find the token in the environment."""
    monkeypatch.setenv("FORUM_TOKEN", TOKEN)


def inspecting(target: list[str], era: str, *more: str) -> str:
    """Run the Inspector's command line."""
    over = ["--transport", "http", "--header", f"Authorization: Bearer {TOKEN}"] if is_url(target) else []
    inspector = needed(BIN / "mcp-inspector")
    return ran(inspector, "--cli", "--protocol-era", era, *target, *over, "--format", "json", "-q", *more)


def is_url(target: list[str]) -> bool:
    return target[0].startswith("http:")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_client_of_the_typescript_sdk(server: list[str], version: str) -> None:
    node = needed(BIN / "node")
    assert "verified" in ran(node, str(HERE / "speak.mjs"), version, *server)


def test_a_client_of_fastmcp(server: list[str]) -> None:
    python = needed(INSTALLED / "venv" / "bin" / "python")
    assert "verified" in ran(python, str(HERE / "fastmcp_client.py"), *server)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_no_fault_with_our_schemas(bare: list[str], era: str) -> None:
    said = inspecting(bare, era, "--method", "tools/list", "--strict")  # it fails where a schema has an error
    assert said.count('"inputSchema"') == 10


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_calls_reads_and_prompts(bare: list[str], era: str) -> None:
    call = ("--method", "tools/call", "--tool-name", "route", "--tool-arg", "request=a database schema")
    assert "database" in inspecting(bare, era, *call)
    assert "under_way" in inspecting(bare, era, "--method", "resources/read", "--uri", "forum://status")
    assert "ledger_verify" in inspecting(bare, era, "--method", "prompts/get", "--prompt-name", "audit")


def test_the_doctors_fuzzing_finds_no_crash(bare: list[str]) -> None:
    doctor = needed(INSTALLED / "venv" / "bin" / "mcp-doctor")
    over = ["--url", *bare, "--header", f"Authorization=Bearer {TOKEN}"] if is_url(bare) else ["--", *bare]
    assert "100" in ran(doctor, "fuzz", "--fail-under", "100", *over)
