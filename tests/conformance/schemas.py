"""Fixtures whose input schemas are the point: JSON Schema 2020-12, and a parameter mirrored in a header."""

from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool

__all__ = ["register"]

_2020_12: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

_MIRRORED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "query": {"type": "string"}},
    "required": ["region"],
}


def register(server: MCPServer[Any]) -> None:
    """Add the fixtures to a server: the SDK writes schemas itself, so these are put in their place."""

    def json_schema_2020_12_tool() -> str:
        """Carries a 2020-12 schema."""
        return "done"

    def x_header(region: str, query: str = "") -> str:
        """Has a parameter that a header repeats."""
        return region

    for function, schema in ((json_schema_2020_12_tool, _2020_12), (x_header, _MIRRORED)):
        tool = Tool.from_function(function, structured_output=False)
        tool.parameters = schema
        server._tool_manager._tools[tool.name] = tool  # pyright: ignore[reportPrivateUsage]
