"""The executors: found, of which version, reachable, and if asked, able to answer."""

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from forum_mcp.cli.doctor.lines import Line, Patient, fail, fine, gui_path, warn
from forum_mcp.configs.paths import shown
from forum_mcp.errors import ForumError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forum_mcp.configs.settings import ExecutorSettings
    from forum_mcp.executors.base import Executor

__all__ = ["executors"]

_TELL_THEIR_VERSION: Final = frozenset(
    {"aider", "claude", "codex", "crush", "cursor-agent", "gemini", "goose", "llm", "ollama", "opencode", "qwen"}
)
"""Programs known to answer ``--version`` and do nothing else; others are not run."""

_VERSION_S: Final = 4.0
_REACH_S: Final = 2.0
_WINDOW_SMALL: Final = 4_096
_CALL_S: Final = 8.0


async def executors(patient: Patient) -> list[Line]:
    """Look at every executor of the settings, all at once."""
    import anyio

    if patient.settings is None:
        return []
    table = patient.settings.executors
    found: dict[str, list[Line]] = {}

    async def look(name: str, settings: "ExecutorSettings") -> None:
        found[name] = await _looked_at(name, settings, live=patient.live)

    async with anyio.create_task_group() as tasks:
        for name, settings in table.items():
            tasks.start_soon(look, name, settings)
    if not table:
        return [fine("executors", "none: the calling assistant does the work (host); forum-mcp init looks for models")]
    return [line for name in table for line in found[name]]


async def _looked_at(name: str, settings: "ExecutorSettings", *, live: bool) -> list[Line]:
    from forum_mcp.executors import build

    area = f"executor {name}"
    try:
        executor = build(name, settings)
    except ForumError as error:
        what, _, fix = str(error).rpartition("; ")
        return [fail(area, what or fix, fix if what else "mend it in the configuration")]
    try:
        if settings.type == "command":
            lines = [await _program(area, settings.argv[0] if settings.argv else settings.profile or "")]
        elif settings.type == "chat" and settings.url is not None and not settings.url.startswith("unix:"):
            lines = [await _server(area, settings)]
        else:
            lines = [fine(area, f"{settings.type} {shown(Path(settings.file or settings.script or settings.type))}")]
        if live and lines[0].status != "fail":
            lines.append(await _called(area, executor))
        return lines
    finally:
        await executor.aclose()


async def _program(area: str, program: str) -> Line:
    here = shutil.which(program)
    if here is None:
        return fail(area, f"{program} is no program on this PATH", "install it, or write its absolute path")
    told = f"{shown(Path(here))}{await _version(here)}"
    if shutil.which(program, path=gui_path()) is None:
        return warn(
            area,
            f"{told}; a server that a desktop program starts does not find {program!r}",
            f"write the absolute path: argv = [{here!r}, ...]",
        )
    return fine(area, told)


async def _version(program: str) -> str:
    import anyio

    if Path(program).name not in _TELL_THEIR_VERSION:
        return ""
    try:
        with anyio.fail_after(_VERSION_S):
            done = await anyio.run_process([program, "--version"], check=False, stdin=-3)
    except (OSError, TimeoutError):
        return ", which does not tell its version"
    said = done.stdout.decode(errors="replace").strip().splitlines()
    return f", {said[0][:60]}" if said else ""


async def _server(area: str, settings: "ExecutorSettings") -> Line:
    """Ask a model server for its list of models: nothing of the user's leaves with that."""
    import httpx2

    from forum_mcp.configs.secrets import resolve_secret

    url = (settings.url or "").rstrip("/") + "/models"
    headers: dict[str, str] = {}
    if settings.api_key is not None:
        headers["Authorization"] = f"Bearer {resolve_secret(settings.api_key, environ=os.environ, what='api_key')}"
    try:
        async with httpx2.AsyncClient(timeout=_REACH_S, trust_env=False) as client:
            answer = await client.get(url, headers=headers)
    except httpx2.HTTPError as error:
        return fail(area, f"{settings.url} does not answer ({type(error).__name__})", "start the server, or mend url")
    if answer.status_code in (401, 403):
        return fail(area, f"{settings.url} refuses the key ({answer.status_code})", "mend api_key or what it names")
    model = settings.model or ""
    listed = _listed(answer.content) if answer.status_code == 200 else {}
    if listed and model not in listed:
        some = ", ".join(list(listed)[:5])
        return warn(area, f"{settings.url} answers and does not list {model!r}", f"name one it has: {some}")
    return _window(area, settings, await _tokens(settings, listed.get(model, {}), headers))


async def _tokens(
    settings: "ExecutorSettings", entry: "Mapping[str, object]", headers: "Mapping[str, str]"
) -> int | None:
    """Return the context window a server tells; one elsewhere is asked for nothing but its list."""
    import httpx2

    from forum_mcp.executors.addresses import egress_of
    from forum_mcp.executors.windows import context_window, listed_window

    url = settings.url or ""
    tokens = listed_window(entry)
    if tokens is not None or egress_of(urlsplit(url).hostname or "") == "internet":
        return tokens
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await context_window(client, url, settings.model or "", headers, _REACH_S)


def _window(area: str, settings: "ExecutorSettings", tokens: int | None) -> Line:
    told = f"{settings.url} answers, model {settings.model}"
    if tokens is None:
        return fine(area, f"{told}; it does not tell its context window")
    told = f"{told}, {tokens} tokens a call"
    if (settings.context_tokens or 0) > tokens:
        what = f"{told}, and context_tokens says {settings.context_tokens}: longer calls are cut or refused"
        return warn(area, what, f"write context_tokens = {tokens}, or start the server with a larger window")
    if tokens < _WINDOW_SMALL:
        return warn(area, f"{told}: prompts of a run may not fit", f"start it with {_WINDOW_SMALL} or more")
    return fine(area, told)


def _listed(data: bytes) -> "dict[str, Mapping[str, object]]":
    """Return what a server says of each model it lists, by id."""
    from forum_mcp.executors.reading import as_object
    from forum_mcp.executors.wire import decoded_object

    body = decoded_object(data)
    listed = None if isinstance(body, str) else body.get("data")
    entries = [as_object(each) for each in cast("list[object]", listed)] if isinstance(listed, list) else []
    return {str(entry["id"]): entry for entry in entries if isinstance(entry.get("id"), str)}


async def _called(area: str, executor: "Executor") -> Line:
    """Make one small call, as a run would."""
    from forum_mcp.executors.base import Call
    from forum_mcp.ledger.entry import RunId

    call = Call(
        run=RunId("0" * 32),
        seq=0,
        purpose="doctor",
        task=None,
        attempt=1,
        system=b"Answer in one word.",
        prompt=b"Say ready.",
        schema=None,
        timeout_ms=int(_CALL_S * 1000),
        max_tokens=16,
    )
    began = time.monotonic()
    outcome = await executor.perform(call)
    took = time.monotonic() - began
    if outcome.error is not None:
        told = f"a call failed: {outcome.error}; {outcome.detail or 'no detail'}"
        return fail(area, told, "mend that, then again: forum-mcp doctor --live")
    return fine(area, f"a call was answered in {took:.1f} s: {len(outcome.reply or b'')} bytes")
