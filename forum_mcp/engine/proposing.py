"""From what was found on a machine to a configuration: executors in the order of a ladder, and who has which role.

The cheap and near come first: servers of this machine, weights in a package, then agent programs, then providers whose
models were asked for. The last rung also plans and writes the answer; rules stand behind it.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from forum_mcp.engine.detecting import DetectionView, FoundKey, FoundProgram, FoundServer

__all__ = ["Proposal", "propose"]

_NO_CHAT: Final = re.compile(r"embed|rerank|whisper|tts|clip|bge-|minilm", re.IGNORECASE)
_INTERPRETER: Final = re.compile(rb"#!\s*(?:/usr)?/bin/env\s+(?:-S\s+)?([\w.\-]+)")
_SYSTEM: Final = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration to be.

    Attributes:
        executors: name -> its table's lines, first rung first.
        text: the whole file.
        left: what was found and not used, each with the reason and the flags that would use it.
    """

    executors: dict[str, list[str]]
    text: str
    left: list[str] = field(default_factory=list[str])


def propose(found: DetectionView, environ: Mapping[str, str]) -> Proposal:
    """Return the configuration that uses what was found; without a model the calling assistant does the work."""
    executors: dict[str, list[str]] = {}
    left: list[str] = []
    for server in found.servers:
        _add(executors, left, server.name, _server(server), f"{server.name} at {server.url} lists no chat model")
    for weights in found.weights:
        lines = ['type = "local"', f"file = {_string(weights.file)}", "max_tokens = 1024"] if weights.runs else None
        _add(executors, left, "local", lines, f"{weights.file} needs forum-mcp[local]")
    for program in found.programs:
        lines = _program(program, environ)
        _add(executors, left, program.profile, lines, f"{program.profile} needs a model: {program.flags}")
    for key in found.keys:
        _add(executors, left, _provider(key), _key(key), f"{key.variable} is set; choose a model: {key.flags}")
    return Proposal(executors, _text(executors), left)


def _add(executors: dict[str, list[str]], left: list[str], name: str, lines: list[str] | None, otherwise: str) -> None:
    if lines is None:
        left.append(otherwise)
        return
    wanted = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"
    taken = [each for each in executors if each == wanted or each.startswith(f"{wanted}-")]
    executors[f"{wanted}-{len(taken) + 1}" if taken else wanted] = lines


def _server(server: FoundServer) -> list[str] | None:
    model = next((name for name in server.models if not _NO_CHAT.search(name)), None)
    if model is None:
        return None
    lines = ['type = "chat"', f"url = {_string(server.url)}", f"model = {_string(model)}"]
    known = server.context_tokens is not None and model == server.models[0]
    return [*lines, f"context_tokens = {server.context_tokens}"] if known else lines


def _program(program: FoundProgram, environ: Mapping[str, str]) -> list[str] | None:
    if program.profile == "ollama":  # its models are found as a server, which costs no process a call
        return None
    path = str(Path(program.path).absolute())
    lines = ['type = "command"', f"profile = {_string(program.profile)}", f"argv = [{_string(path)}]"]
    directories = _path_it_needs(path, environ)
    return [*lines, f"env = {{ PATH = {_string(directories)} }}"] if directories else lines


def _path_it_needs(program: str, environ: Mapping[str, str]) -> str:
    """Return a PATH for a script whose first line looks its interpreter up; empty when it needs none."""
    try:
        with Path(program).open("rb") as file:
            first = _INTERPRETER.match(file.read(200))
    except OSError:
        return ""
    interpreter = first and shutil.which(first[1].decode(), path=environ.get("PATH", os.defpath))
    if not interpreter:
        return ""
    return ":".join(dict.fromkeys([str(Path(interpreter).parent), str(Path(program).parent), *_SYSTEM.split(":")]))


def _provider(key: FoundKey) -> str:
    return key.variable.removesuffix("_API_KEY")


def _key(key: FoundKey) -> list[str] | None:
    model = next((name for name in key.models or () if not _NO_CHAT.search(name)), None)
    if model is None:
        return None
    if key.variable == "ANTHROPIC_API_KEY":
        return ['type = "anthropic"', f"model = {_string(model)}", f'api_key = "env:{key.variable}"']
    return [
        'type = "chat"',
        f"url = {_string(key.url)}",
        f"model = {_string(model)}",
        f'api_key = "env:{key.variable}"',
    ]


def _text(executors: Mapping[str, list[str]]) -> str:
    head = "# Written by `forum-mcp init`. Every setting: forum-mcp config reference\n"
    if not executors:
        return head + '\n[roles]\nworker = ["host"]  # no model: the calling assistant does the work, rules judge it\n'
    tables = "".join(f"\n[executors.{name}]\n" + "\n".join(lines) + "\n" for name, lines in executors.items())
    names = list(executors)
    strong = _string(names[-1])
    ladder = ", ".join(_string(name) for name in names)
    roles = [
        f'coordinator = [{strong}, "rules"]',
        f"worker = [{ladder}]  # first rung first",
        'validator = ["rules"]',
        f'synthesizer = [{strong}, "rules"]',
    ]
    steps = "\n[steps]\nescalate = true  # a task that fails its verdict goes up one rung\n" if len(names) > 1 else ""
    return head + tables + "\n[roles]\n" + "\n".join(roles) + "\n" + steps


def _string(text: str) -> str:
    """Return a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in escaped) + '"'
