"""The model flags: which one executor they describe."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forum_mcp.configs.paths import placed
from forum_mcp.errors import ConfigRefused

if TYPE_CHECKING:
    from forum_mcp.configs.flags import Flags

__all__ = ["LOCAL_MAX_TOKENS", "executor_of"]

LOCAL_MAX_TOKENS: Final = 1024
"""Most tokens of a reply under ``--local``: a small model that does not find its end would fill its whole window."""

_MODELS: Final = ("cmd", "agent", "chat_url", "api", "api_url", "local", "scripted")
_COMMANDS: Final = ("cmd", "agent")
_SERVERS: Final = ("chat_url", "api", "api_url")
_PARTNERS: Final[dict[str, tuple[str, ...]]] = {
    "model": (*_SERVERS, "agent"),
    "api_key": _SERVERS,
    "max_tokens": (*_SERVERS, "local"),
    "sandbox": _COMMANDS,
    "worktree": _COMMANDS,
}
"""Flag -> the model flags it goes with."""


def executor_of(flags: "Flags", cwd: Path) -> dict[str, object]:
    """Return the ``executors`` table of the model flags; empty when there is none.

    Raises:
        ConfigRefused: two of them, a flag without its partner, a command line that cannot be split.
    """
    given = [name for name in _MODELS if getattr(flags, name) not in (None, False)]
    kinds = [name for name in given if name != "api" or "api_url" not in given]
    if len(kinds) > 1:
        raise ConfigRefused(
            f"{' and '.join(map(_flag, kinds))} are given together; one model flag at a time; "
            "describe several executors in a file and name it with --config"
        )
    for name, partners in _PARTNERS.items():
        if getattr(flags, name) is not None and not set(partners) & set(given):
            raise ConfigRefused(f"{_flag(name)} belongs to {' or '.join(map(_flag, partners))}; give one of them too")
    if not kinds:
        return {}
    return {_NAMES[kinds[0]]: _table(flags, kinds[0], cwd)}


_NAMES: Final = {
    "cmd": "command",
    "agent": "agent",
    "chat_url": "chat",
    "api": "api",
    "api_url": "api",
    "local": "local",
    "scripted": "scripted",
}


def _table(flags: "Flags", kind: str, cwd: Path) -> dict[str, object]:
    match kind:
        case "cmd":
            return {"type": "command", "argv": _split(flags.cmd or "", cwd), **_kept(flags, cwd)}
        case "agent":
            model = {} if flags.model is None else {"model": flags.model}
            return {"type": "command", "profile": flags.agent, **model, **_kept(flags, cwd)}
        case "local":
            file = flags.local or ""
            file = file if file.startswith("package:") else placed(file, cwd)
            return {"type": "local", "file": file, "max_tokens": flags.max_tokens or LOCAL_MAX_TOKENS}
        case "scripted":
            return {"type": "scripted", "script": placed(flags.scripted or "", cwd)}
        case _:
            return _server(flags, kind)


def _server(flags: "Flags", kind: str) -> dict[str, object]:
    if flags.model is None:
        raise ConfigRefused(
            f"{_flag(kind)} is given without --model; the server must be told what to run; add --model"
        )
    url = flags.chat_url if kind == "chat_url" else flags.api_url
    told = {"url": url, "api_key": flags.api_key, "max_tokens": flags.max_tokens}
    table: dict[str, object] = {"type": "chat" if kind == "chat_url" else "anthropic", "model": flags.model}
    return table | {name: value for name, value in told.items() if value is not None}


def _kept(flags: "Flags", cwd: Path) -> dict[str, object]:
    """Return what keeps a command in: its sandbox, and the repository whose worktree it gets."""
    kept: dict[str, object] = {} if flags.sandbox is None else {"sandbox": flags.sandbox}
    return kept if flags.worktree is None else kept | {"cwd": "worktree", "repo": placed(flags.worktree, cwd)}


def _split(command: str, cwd: Path) -> list[str]:
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise ConfigRefused(
            f"--cmd cannot be split into arguments; {str(error).lower()}; quote it as for a shell"
        ) from error
    if not argv:
        raise ConfigRefused("--cmd is empty; give the program and its arguments, such as --cmd 'llm -m small {prompt}'")
    if "/" in argv[0]:
        argv[0] = placed(argv[0], cwd)
    return argv


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
