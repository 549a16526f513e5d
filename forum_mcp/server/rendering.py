"""Our definitions, views and listings as the SDK's types."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import mcp_types as types
import msgspec

from forum_mcp.tools.bounds import RESULT_CHARS, bounded
from forum_mcp.tools.text import text_of

if TYPE_CHECKING:
    from forum_mcp.engine.views import View
    from forum_mcp.resources.base import Content, Family, Listed
    from forum_mcp.resources.prompts import Prompt
    from forum_mcp.tools.base import Tool

__all__ = ["contents", "prompt_definition", "resource", "result", "template", "tool_definition"]


def tool_definition(tool: Tool) -> types.Tool:
    """Return the definition of a tool as written."""
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=tool.open_world,
        ),
    )


def result(view: View, tool: Tool) -> types.CallToolResult:
    """Return both forms of a view from the same, possibly cut, facts."""
    limit = RESULT_CHARS
    while True:
        cut = bounded(view.to_dict(), limit)
        text = text_of(view if not cut.notes else msgspec.convert(cut.value, type(view)))
        structured = cut.value
        if cut.notes:
            notes = [*cut.notes, f"the whole: {tool.rest}"]
            text = "\n".join([text, *(f"cut: {note}" for note in notes)])
            structured = {**structured, "cut": notes}
        if len(text) <= RESULT_CHARS or limit < RESULT_CHARS // 4:
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=text)], structured_content=structured
            )
        limit = limit * 2 // 3


def resource(listed: Listed) -> types.Resource:
    """Return one concrete resource of a listing."""
    modified = listed.modified_us
    return types.Resource(
        uri=listed.uri,
        name=listed.name,
        title=listed.title,
        description=listed.description,
        mime_type=listed.media_type,
        size=listed.size,
        annotations=None
        if modified is None
        else types.Annotations(last_modified=datetime.fromtimestamp(modified / 1e6, UTC).isoformat()),
    )


def template(family: Family) -> types.ResourceTemplate:
    """Return the template of a family that has a variable part."""
    return types.ResourceTemplate(
        uri_template=family.uri,
        name=family.name,
        title=family.title,
        description=family.description,
        mime_type=family.media_type,
    )


def contents(uri: str, content: Content, family: Family) -> types.ReadResourceResult:
    """Return what a resource holds; what a principal read is nobody else's to keep."""
    body = content.body
    held: types.TextResourceContents | types.BlobResourceContents
    if isinstance(body, str):
        held = types.TextResourceContents(uri=uri, text=body, mime_type=content.media_type)
    else:
        held = types.BlobResourceContents(uri=uri, blob=b64encode(body).decode(), mime_type=content.media_type)
    return types.ReadResourceResult(contents=[held], ttl_ms=family.fresh_s * 1_000, cache_scope="private")


def prompt_definition(prompt: Prompt) -> types.Prompt:
    """Return the definition of a prompt as written."""
    return types.Prompt(
        name=prompt.name,
        title=prompt.title,
        description=prompt.description,
        arguments=[
            types.PromptArgument(name=each.name, description=each.description, required=each.required)
            for each in prompt.arguments
        ],
    )
