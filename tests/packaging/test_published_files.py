"""What is published beside the wheel: one version everywhere, each file by its own schema."""

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final, cast

import pytest
from jsonschema import validate
from mcp import Client

import forum_mcp
from forum_mcp.configs.settings import Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import ConfigRefused
from forum_mcp.server.app import build_server

ROOT: Final = Path(__file__).parents[2]
VECTORS: Final = ROOT / "tests" / "vectors"
UNITS: Final = Path(forum_mcp.__file__).parent / "configs" / "systemd"


def table(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))


SERVER: Final = table(ROOT / "server.json")


async def test_one_version_everywhere() -> None:
    version = forum_mcp.__version__
    assert SERVER["version"] == version
    assert [package["version"] for package in SERVER["packages"]] == [version]
    newest = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert re.fullmatch(
        rf"\[Unreleased\] \({re.escape(version)}\)|\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", newest[1]
    )
    async with Client(build_server(lambda: Orchestrator.open(Settings(ledger=":memory:")))) as client:
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("forum-mcp", version)


def test_the_registry_entry_follows_its_schema_and_is_vouched_for_by_the_readme() -> None:
    validate(SERVER, table(VECTORS / "mcp-registry" / "server.schema.json"))
    assert SERVER["$schema"] == "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
    assert f"mcp-name: {SERVER['name']}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert {each["name"] for each in SERVER["packages"][0]["environmentVariables"]} <= {
        *(f"FORUM_{name.upper()}" for name in Settings.model_fields),
        "FORUM_CONFIG",
        "FORUM_STATE_DIR",
    }


def test_the_bundle_follows_its_schema_and_its_entry_speaks_mcp(wheel: Path, tmp_path: Path) -> None:
    build = [sys.executable, str(ROOT / ".ci" / "mcpb.py"), str(wheel)]
    for out in ("a", "b"):
        subprocess.run(
            [*build, str(tmp_path / out)], check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    name = f"forum-mcp-{forum_mcp.__version__}.mcpb"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), "the same bytes each time"
    with zipfile.ZipFile(tmp_path / "a" / name) as archive:
        archive.extractall(tmp_path / "bundle")
    manifest = table(tmp_path / "bundle" / "manifest.json")
    validate(manifest, table(VECTORS / "mcpb" / "mcpb-manifest-v0.4.schema.json"))
    assert manifest["version"] == forum_mcp.__version__
    assert (tmp_path / "bundle" / wheel.name).is_file()
    assert wheel.name in (tmp_path / "bundle" / "pyproject.toml").read_text()
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "bundle" / manifest["server"]["entry_point"])],
        input=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n",
        env={**os.environ, "PYTHONPATH": str(wheel)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert json.loads(done.stdout)["result"]["serverInfo"]["version"] == forum_mcp.__version__, done.stderr


def test_the_container_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    said = [line.split(maxsplit=1) for line in lines if re.match(r"[A-Z]+ ", line)]
    users = [words for instruction, words in said if instruction == "USER"]
    assert users == ["10001"]
    last = [instruction for instruction, _ in said]
    assert last.index("USER") > max(at for at, each in enumerate(last) if each in ("COPY", "RUN"))
    assert ["ENTRYPOINT", '["forum-mcp"]'] in said
    assert ["CMD", '["mcp"]'] in said
    assert ["LABEL", f'io.modelcontextprotocol.server.name="{SERVER["name"]}"'] in said
    copied = [
        word
        for instruction, words in said
        if instruction == "COPY" and "--from" not in words
        for word in words.split()[:-1]
    ]
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("unit", ["forum-mcp.socket", "forum-mcp@.service", "forum-mcp-http.service"])
def test_the_units_are_such(unit: str) -> None:
    found = configparser.ConfigParser(strict=True, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(UNITS / unit)
    assert found.has_section("Unit")
    if unit == "forum-mcp-http.service":
        assert found["Service"]["ExecStart"].endswith("forum-mcp serve --http")
        assert (found["Service"]["NoNewPrivileges"], found["Service"]["UMask"]) == ("yes", "0077")
        assert found["Service"]["RestartPreventExitStatus"] == str(ConfigRefused.exit_code)
    elif unit.endswith(".service"):
        assert found["Service"]["ExecStart"].endswith("forum-mcp mcp")
        assert found["Service"]["StandardInput"] == found["Service"]["StandardOutput"] == "socket"
        assert found["Service"]["NoNewPrivileges"] == "yes"
    else:
        assert (found["Socket"]["SocketMode"], found["Socket"]["Accept"]) == ("0600", "yes")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    names = sorted(unit.name for unit in UNITS.iterdir())
    for name in names:
        text = (UNITS / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("%h/.local/bin/forum-mcp", sys.executable))
    files = [str(tmp_path / name) for name in names if "@" not in name]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *files],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or "forum-mcp" in line] == []


def test_a_client_over_a_socket_is_served_as_the_unit_does_it(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    server = subprocess.Popen(
        [sys.executable, "-m", "forum_mcp.cli", "mcp", "--ledger", ":memory:"],
        stdin=theirs.fileno(),
        stdout=theirs.fileno(),
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    theirs.close()
    assert server.stderr is not None
    with ours, ours.makefile("rw") as wire, server.stderr:
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        wire.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n")
        wire.flush()
        assert json.loads(wire.readline())["result"]["serverInfo"]["name"] == "forum-mcp"
        ours.shutdown(socket.SHUT_RDWR)
        assert server.wait(60) == 0


def test_the_wheel_holds_the_shipped_files_and_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"forum_mcp", f"forum_mcp-{forum_mcp.__version__}.dist-info"}
    for needed in ("forum.toml", "roster.toml", "clients/codex.toml", "clients/zed.json", "systemd/forum-mcp.socket"):
        assert f"forum_mcp/configs/{needed}" in names
