"""The official conformance suite, both protocol revisions, without an expected-failures file.

It speaks to what ``forum-mcp serve --http`` serves, through the gate that checks Host, Origin and token
(``bearer.mjs`` sends one for the suite). It needs Node 22.19 or newer and npm's ``@modelcontextprotocol/conformance``
in the directory that ``FORUM_TEST_CONFORMANCE`` names; ``.ci/run`` puts both there.
"""

import os
import re
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.server.http_peer import HttpProcess

VERSION: Final = "0.2.0-alpha.12"
TOKEN: Final = "a-token-of-the-conformance-tests"
SERVE: Final = ("forum_mcp.cli", "serve", "--http", "--port", "0")
INSTALLED: Final = os.environ.get("FORUM_TEST_CONFORMANCE")

pytestmark = pytest.mark.skipif(
    INSTALLED is None,
    reason=f"FORUM_TEST_CONFORMANCE names no directory with @modelcontextprotocol/conformance@{VERSION}",
)

ANY_SERVER: Final = {
    "2025-11-25": (
        "server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection",
        "server-session-lifecycle", "server-sse-multiple-streams",
    ),
    "2026-07-28": (
        "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection", "caching",
        "sep-2164-resource-not-found", "http-header-validation", "server-sse-multiple-streams",
        "input-required-result-unsupported-methods",
    ),
}  # fmt: skip
SCENARIOS: Final = {"2025-11-25": 30, "2026-07-28": 37}
UNSCORED: Final = {
    "2025-11-25": {"server-session-lifecycle", "json-schema-2020-12", "server-sse-polling"},
    "2026-07-28": {
        "tasks-lifecycle", "tasks-capability-negotiation", "tasks-wire-fields", "tasks-request-state-removal",
        "tasks-mrtr-input", "tasks-request-headers", "tasks-dispatch-and-envelope", "tasks-required-task-error",
        "tasks-mrtr-composition", "json-schema-2020-12", "http-header-validation",
        "http-custom-header-server-validation",
        "tasks-status-notifications",  # the suite skips it itself; test_tasks.py listens for them
    },
}  # fmt: skip


@contextmanager
def serving(where: Path, *module: str) -> Generator[str]:
    """Serve behind our own gate, a token asked for, for the length of the block; give the URL."""
    home = {"HOME": str(where), "FORUM_STATE_DIR": str(where), "FORUM_TOKEN": TOKEN}
    server = HttpProcess([str(where / "ledger.db")], {**os.environ, **home}, module)
    try:
        yield f"{server.url}/mcp"
    finally:
        assert server.stop() == 0


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the product's own server with the suite's fixtures added."""
    with serving(tmp_path_factory.mktemp("fixtures"), "tests.conformance") as url:
        yield url


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the product's server as it is."""
    with serving(tmp_path_factory.mktemp("product"), *SERVE, "--ledger") as url:
        yield url


def conformance(url: str, *arguments: str) -> tuple[int, str]:
    """Run the suite; return its exit code and what it said."""
    assert INSTALLED is not None
    binaries = Path(INSTALLED) / "node_modules" / ".bin"
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "NODE_OPTIONS": f"--import={Path(__file__).with_name('bearer.mjs').as_uri()}",
        "FORUM_TOKEN": TOKEN,
    }
    ended = subprocess.run(
        [str(binaries / "conformance"), "server", "--url", url, *arguments],
        capture_output=True, text=True, env=environment, timeout=300, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("revision", SCENARIOS)
def test_every_required_scenario_passes_and_so_does_every_other(fixtures: str, revision: str) -> None:
    code, said = conformance(fixtures, "--requirements", revision)
    results = dict(re.findall(r"^✓ (\S+): (\d+ passed, 0 failed)", said, re.MULTILINE))
    assert code == 0, said[-3_000:]
    assert "✗" not in said, said[-3_000:]
    assert not re.search(r"[1-9]\d* warning", said), said[-3_000:]
    assert set(results) >= UNSCORED[revision]
    assert len(set(results) - UNSCORED[revision]) == SCENARIOS[revision], sorted(results)


@pytest.mark.parametrize(
    ("revision", "scenario"), [(revision, name) for revision, names in ANY_SERVER.items() for name in names]
)
def test_what_needs_no_fixture_passes_on_the_product_as_it_is(product: str, revision: str, scenario: str) -> None:
    code, said = conformance(product, "--scenario", scenario, "--spec-version", revision)
    assert code == 0, said[-3_000:]
