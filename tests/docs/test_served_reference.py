"""docs/reference/{tools,resources,prompts}.md are what the server serves; UPDATE_SNAPSHOTS=1 writes them anew."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

from forum_mcp.resources import FAMILIES
from forum_mcp.resources.listing import ENTRIES_LISTED, PAGE, RUNS_LISTED
from forum_mcp.resources.prompts import PROMPTS
from forum_mcp.server.errors import ERROR_CHARS
from forum_mcp.tools import TOOLS, TOOLSETS
from forum_mcp.tools.base import Tool
from forum_mcp.tools.bounds import RESULT_CHARS

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference"
MADE: Final = "Generated from what is served (`UPDATE_SNAPSHOTS=1 python -m pytest tests/docs`) and checked by a test."


def cell(text: object) -> str:
    return str(text).replace("|", "\\|")


def typed(schema: dict[str, Any]) -> str:
    kinds: str | list[str] = schema["type"]
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def bounds(schema: dict[str, Any]) -> str:
    words = [f"one of {', '.join(f'`{choice}`' for choice in schema['enum'])}"] if "enum" in schema else []
    words += [
        f"{word} {schema[name]}" for name, word in (("minimum", "at least"), ("maximum", "at most")) if name in schema
    ]
    if "default" in schema:
        words.append(f"default {schema['default']}")
    return ", ".join(words)


def of_tool(tool: Tool) -> Iterator[str]:
    does = [
        "changes nothing in the record" if tool.read_only else "changes the record",
        "may do more than add" if tool.destructive else "only adds" if not tool.read_only else "",
        "repeating it changes nothing more" if tool.idempotent else "",
        "may reach models, commands or networks" if tool.open_world else "stays on this machine",
    ]
    yield f"\n## `{tool.name}`: {tool.title}\n\n{tool.description}\n\n{'; '.join(filter(None, does)).capitalize()}.\n"
    properties = cast("dict[str, dict[str, Any]]", tool.input_schema["properties"])
    required = cast("list[str]", tool.input_schema.get("required", []))
    yield "| argument | type | bounds | |\n|---|---|---|---|"
    for name, schema in properties.items():
        said = "; ".join(filter(None, ("required" if name in required else "", schema.get("description", ""))))
        yield f"| `{name}` | {typed(schema)} | {cell(bounds(schema))} | {cell(said)} |"
    members = cast("dict[str, dict[str, Any]]", tool.output_schema["properties"])
    yield f"\nResult: {', '.join(f'`{name}` ({typed(schema)})' for name, schema in members.items())}."
    yield f"\nThe whole of a result that was cut: {tool.rest}."


def tools_page() -> str:
    sets = "\n".join(f"- `{name}`: {', '.join(f'`{tool}`' for tool in names)}" for name, names in TOOLSETS.items())
    head = f"""# Tools

{MADE}

Each result has its facts twice, complete both times: as text (a line for a person, then the facts) and as structured
content. `next` names the call to make now, `checkpoint` is a signed note to keep. Either form holds at most
{RESULT_CHARS:,} characters; what is cut is named in `cut`, with the way to the whole. Texts of models, people and
commands stand between marks that their authors could not foresee. A refusal is an error result of at most
{ERROR_CHARS:,} characters: what; `[code]`; what to do instead. An argument that is null counts as absent;
nothing is coerced; unknown arguments are refused.

A call that asks for progress gets a line every few seconds. Clients that declare `io.modelcontextprotocol/tasks` get a
task for a `submit` that takes long; its id is the run's id.

Which are served: `--tools` with sets and names, separated by commas; `--read-only` leaves out all that change the
record.

{sets}
"""
    return head + "\n".join(line for tool in TOOLS for line in of_tool(tool)) + "\n"


def resources_page() -> str:
    rows = "\n".join(
        f"| `{family.uri}` | {family.media_type or 'as recorded'} | {family.fresh_s or 'not at all'} "
        f"| {cell(family.description)} |"
        for family in FAMILIES
    )
    return f"""# Resources

{MADE}

Each tells what a tool tells too, for clients that show resources. `resources/list` has the ones without braces, then
the newest {RUNS_LISTED} runs and {ENTRIES_LISTED} entries, in pages of {PAGE}, with sizes of what never changes and the
time of each; older ones are reached by template. What stands in braces is completed. A missing one is -32602 (-32002 in
handshake revisions) with its URI.

All may be subscribed to (`subscriptions/listen`, or `resources/subscribe` in handshake revisions): one is announced
when entries change it, by whichever process; the list when a run begins or ends.

| URI | type | fresh for, seconds | |
|---|---|---|---|
{rows}
"""


def prompts_page() -> str:
    parts = [
        f"""# Prompts

{MADE}

Arguments are texts and stand in the prompt as data. Picking a prompt reads nothing.
"""
    ]
    for prompt in PROMPTS:
        parts.append(
            f"\n## `{prompt.name}`: {prompt.title}\n\n{prompt.description}.\n\n| argument | | |\n|---|---|---|\n"
        )
        parts += [
            f"| `{each.name}` | {'required' if each.required else 'optional'} | {cell(each.description)} |\n"
            for each in prompt.arguments
        ]
    return "".join(parts)


PAGES: Final = {"tools": tools_page, "resources": resources_page, "prompts": prompts_page}


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_says_what_is_served(name: str) -> None:
    page, made = REFERENCE / f"{name}.md", PAGES[name]()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        page.write_text(made, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == made, "run: UPDATE_SNAPSHOTS=1 python -m pytest tests/docs"
