"""What a tool is: a static definition, and a handler that makes one call of the orchestrator or its ledger.

Definitions are plain data, so that ``tools/list`` is answered before anything of the engine is imported. Schemas are
written by hand and flat (``type properties required enum default minimum maximum description items
additionalProperties``): strict clients refuse the rest, and every token is paid for in each conversation.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from forum_mcp.engine.views import View

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["REST_OF_A_RUN", "WAIT_S", "Handler", "Schema", "Tool", "input_schema", "output_schema"]

Schema = dict[str, object]
Handler = Callable[["Forum", "Arguments", "Caller"], Awaitable[View]]
"""(orchestrator, checked arguments, who calls) -> view."""

WAIT_S: Schema = {
    "type": "number",
    "default": 45,
    "minimum": 0,
    "maximum": 300,
    "description": "Longest wait, seconds",
}
"""How long a call may wait for its run; hosts drop calls at about 60 s, hence the default."""

REST_OF_A_RUN = "ledger_show with run_id, then with one seq and bodies, or the resource forum://runs/{run_id}"
"""How to read the whole of a run's view that had to be cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One MCP tool.

    Attributes:
        name: snake_case; unique.
        title: for people.
        description: for the model that chooses a tool.
        input_schema: flat JSON Schema of the arguments.
        output_schema: flat JSON Schema of the structured content.
        read_only: changes nothing in the record.
        destructive: what it starts may do more than add.
        idempotent: the same call again changes nothing more.
        open_world: may reach models, commands or networks.
        handler: does it.
        rest: how to read the whole of a result that had to be cut.
        whole_as_text: string arguments that may also be given as an integer.
    """

    name: str
    title: str
    description: str
    input_schema: Schema
    output_schema: Schema
    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool
    handler: Handler
    rest: str
    whole_as_text: frozenset[str] = frozenset()


def input_schema(properties: Mapping[str, Schema], *, required: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a tool's arguments: an object that takes these and no others."""
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return schema


def output_schema(*views: type[View]) -> Schema:
    """Return the flat schema of what a tool answers: the members of the view, one level deep.

    With several views (a tool that answers one thing or another) no member is required.
    """
    properties: dict[str, Schema] = {}
    for view in views:
        hints = typing.get_type_hints(view)
        for field in msgspec.structs.fields(view):
            properties[field.encode_name] = {"type": _json_type(hints[field.name])}
    schema: Schema = {"type": "object", "properties": properties}
    if len(views) == 1:
        schema["required"] = list(properties)
    return schema


_JSON_TYPES: Mapping[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _json_type(hint: object) -> str | list[str]:
    if isinstance(hint, types.UnionType):
        names = [_json_type(part) for part in typing.get_args(hint) if part is not types.NoneType]
        return [str(name) for name in names] + ["null"]
    origin = typing.get_origin(hint) or hint
    if origin is list:
        return "array"
    return _JSON_TYPES.get(origin, "object")
