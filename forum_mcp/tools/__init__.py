"""The tools that clients see: one file each, registered here and nowhere else.

A new tool is one file with a ``TOOL`` and one line of ``TOOLS``. No tool takes a command, a path, a URL or an
environment variable: a model may choose among what the operator defined, never define it.
"""

from difflib import get_close_matches
from typing import Final

from forum_mcp.errors import ConfigRefused
from forum_mcp.tools import (
    ledger_replay,
    ledger_show,
    ledger_trace,
    ledger_verify,
    plan,
    route,
    run,
    run_control,
    submit,
    work,
)
from forum_mcp.tools.base import Tool

__all__ = ["TOOLS", "TOOLSETS", "select"]

TOOLS: Final[tuple[Tool, ...]] = (
    route.TOOL,
    plan.TOOL,
    submit.TOOL,
    run.TOOL,
    run_control.TOOL,
    work.TOOL,
    ledger_verify.TOOL,
    ledger_show.TOOL,
    ledger_trace.TOOL,
    ledger_replay.TOOL,
)

TOOLSETS: Final[dict[str, tuple[str, ...]]] = {
    "all": tuple(tool.name for tool in TOOLS),
    "core": ("route", "plan", "submit", "run", "work", "ledger_verify"),
    "read-only": tuple(tool.name for tool in TOOLS if tool.read_only),
}


def select(toolset: str = "all", *, read_only: bool = False) -> tuple[Tool, ...]:
    """Return the tools of a toolset in the order of ``TOOLS``.

    Args:
        toolset: names of toolsets and tools, separated by commas.
        read_only: leave out every tool that changes the record, whatever the toolset says.

    Raises:
        ConfigRefused: a name is neither a toolset nor a tool, or nothing is left to serve.
    """
    by_name = {tool.name: (tool.name,) for tool in TOOLS}
    known = TOOLSETS | by_name
    chosen: set[str] = set()
    for name in (part.strip() for part in toolset.split(",")):
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise ConfigRefused(f"no tool or toolset {name[:80]!r}{hint} (known: {', '.join(known)})")
        chosen.update(known[name])
    tools = tuple(tool for tool in TOOLS if tool.name in chosen and (tool.read_only or not read_only))
    if not tools:
        raise ConfigRefused(
            f"toolset {toolset[:80]!r} has no tool that is read-only; choose others or leave read-only out"
        )
    return tools
