"""Executors: the edge where calls leave for a command, a model server, a local model, the assistant or its model.

``BUILDERS`` is the whole list of types. A new executor is one module with ``build(name, settings)`` and one
line here; a module is imported when the first executor of its type is built, so that nobody pays for what
is not used.

Where things are:

    the port                            base
    a command                           command profiles isolation worktree ending
    its process                         process child minder
    a model server                      server wire chat messages anthropic events addresses windows
    a model file                        local llama_server machine
    the assistant, or its model         host sampling sampler
    written replies                     scripted
    what a run may read                 context resource
    what others said, read with care    reading
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final, cast

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Executor
from forum_mcp.executors.machine import Machine
from forum_mcp.executors.sampler import Sampler

__all__ = ["BUILDERS", "build"]

BUILDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "command": "forum_mcp.executors.command",
        "chat": "forum_mcp.executors.chat",
        "anthropic": "forum_mcp.executors.anthropic",
        "local": "forum_mcp.executors.local",
        "scripted": "forum_mcp.executors.scripted",
        "host": "forum_mcp.executors.host",
        "sampling": "forum_mcp.executors.sampling",
    }
)


def build(
    name: str, settings: ExecutorSettings, machine: Machine | None = None, sampler: Sampler | None = None
) -> Executor:
    """Return the executor called ``name``; it starts nothing before its first call.

    ``machine`` is what local models share, ``sampler`` where the questions of ``sampling`` ones meet clients.

    Raises:
        ConfigRefused: a member is missing or wrong, or a package that the type needs is not installed.
    """
    module = BUILDERS.get(settings.type)
    if module is None:
        raise ConfigRefused(f"executor {name!r} has type {settings.type!r} (types: {', '.join(BUILDERS)})")
    found = import_module(module)
    if settings.type == "local":
        return cast("Callable[[str, ExecutorSettings, Machine | None], Executor]", found.build)(name, settings, machine)
    if settings.type == "sampling":
        return cast("Callable[[str, ExecutorSettings, Sampler | None], Executor]", found.build)(name, settings, sampler)
    return cast("Callable[[str, ExecutorSettings], Executor]", found.build)(name, settings)
