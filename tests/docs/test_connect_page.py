"""The page that says how to connect a client, against the table of clients."""

import sys
from pathlib import Path

import pytest

from forum_mcp.cli.clients.table import CLIENTS, Client
from tests.cli.commands import forum
from tests.docs.typist import ROOT, Typist

PAGE = "docs/how-to/connect-a-client.md"


def row(client: Client) -> str:
    """Return the line of the page's table that tells of a client."""
    file = f"~/{client.user().relative_to(Path.home())}"
    project = f"; project: `{client.project}`" if client.project else ""
    return f"| `{client.name}` | `{file}`{project} | {client.afterwards} |"


@pytest.mark.skipif(sys.platform != "linux", reason="the page gives the places on Linux")
def test_the_table_is_the_table_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    lines = (ROOT / PAGE).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == [row(client) for client in CLIENTS]


def test_its_lines_do_what_it_says(tmp_path: Path) -> None:
    reader = Typist(PAGE, tmp_path)
    assert "Claude Code: installed" in reader.types("forum-mcp install").out
    assert reader.is_through()
    assert "unchanged" in forum("install", "claude-code", cwd=tmp_path).out
    assert "Claude Code: " in forum("uninstall", "claude-code", cwd=tmp_path).out
