"""Fixtures of plain results: every kind of content, an error, progress, log lines; resources and prompts.

Names and texts are the ones the scenarios of the conformance suite ask for.
"""

import base64
import json
from typing import Any, Final

import anyio
import mcp_types as types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, UserMessage

__all__ = ["register"]

PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV: Final = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
IMAGE: Final = types.ImageContent(type="image", data=PNG, mime_type="image/png")
PAUSE_S: Final = 0.05

AnyContext = Context[Any, Any]


def text(words: str) -> types.TextContent:
    """Return words as content."""
    return types.TextContent(type="text", text=words)


def embedded(uri: str, media_type: str, words: str) -> types.EmbeddedResource:
    """Return a resource inside a result."""
    contents = types.TextResourceContents(uri=uri, mime_type=media_type, text=words)
    return types.EmbeddedResource(type="resource", resource=contents)


def register(server: MCPServer[Any]) -> None:
    """Add the fixtures to a server."""
    _register_tools(server)
    _register_resources(server)
    _register_prompts(server)


def _register_tools(server: MCPServer[Any]) -> None:
    @server.tool(structured_output=False)
    def test_simple_text() -> str:
        """Plain text."""
        return "This is a simple text response for testing."

    @server.tool(structured_output=False)
    def test_image_content() -> list[types.ImageContent]:
        """An image."""
        return [IMAGE]

    @server.tool(structured_output=False)
    def test_audio_content() -> list[types.AudioContent]:
        """A sound."""
        return [types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")]

    @server.tool(structured_output=False)
    def test_embedded_resource() -> list[types.EmbeddedResource]:
        """A resource inside the result."""
        return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]

    @server.tool(structured_output=False)
    def test_multiple_content_types() -> list[Any]:
        """Text, image and resource."""
        mixed = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
        return [text("Multiple content types test:"), IMAGE, mixed]

    @server.tool(structured_output=False)
    def test_error_handling() -> str:
        """Fails always."""
        raise RuntimeError("This tool intentionally returns an error for testing")

    @server.tool(structured_output=False)
    async def test_tool_with_progress(ctx: AnyContext) -> str:
        """Tells how far it is."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100)
            await anyio.sleep(PAUSE_S)
        return "done"

    @server.tool(structured_output=False)
    async def test_tool_with_logging(ctx: AnyContext) -> str:
        """Logs three times."""
        for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.info(line)  # pyright: ignore[reportDeprecated]
            await anyio.sleep(PAUSE_S)
        return "done"

    @server.tool(structured_output=False)
    async def test_logging_tool(ctx: AnyContext) -> str:
        """Logs once."""
        await ctx.info("hello")  # pyright: ignore[reportDeprecated]
        return "done"

    @server.tool(structured_output=False)
    async def test_reconnection(ctx: AnyContext) -> str:
        """Closes its stream in mid-call."""
        await ctx.close_sse_stream()
        await anyio.sleep(0.2)
        return "Reconnection test completed"

    @server.tool(structured_output=False)
    async def test_trigger_tool_change(ctx: AnyContext) -> str:
        """Says that the tools have changed."""
        await ctx.notify_tools_changed()
        return "done"

    @server.tool(structured_output=False)
    async def test_trigger_prompt_change(ctx: AnyContext) -> str:
        """Says that the prompts have changed."""
        await ctx.notify_prompts_changed()
        return "done"


def _register_resources(server: MCPServer[Any]) -> None:
    @server.resource("test://static-text", mime_type="text/plain", description="Text")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png", description="Bytes")
    def static_binary() -> bytes:
        return base64.b64decode(PNG)

    @server.resource("test://watched-resource", mime_type="text/plain", description="Something to subscribe to")
    def watched() -> str:
        return "watched"

    @server.resource("test://template/{id}/data", mime_type="application/json", description="A template")
    def of_template(id: str) -> str:  # noqa: A002 - the scenario's name
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    del static_text, static_binary, watched, of_template


def _register_prompts(server: MCPServer[Any]) -> None:
    @server.prompt()
    def test_simple_prompt() -> str:
        """A prompt without arguments."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt with two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
        """A prompt that holds a resource."""
        held = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [UserMessage(content=held), UserMessage(content=text("Please process the embedded resource above."))]

    @server.prompt()
    def test_prompt_with_image() -> list[UserMessage]:
        """A prompt that holds an image."""
        return [UserMessage(content=IMAGE), UserMessage(content=text("Please analyze the image above."))]

    del test_simple_prompt, test_prompt_with_arguments, test_prompt_with_embedded_resource, test_prompt_with_image
