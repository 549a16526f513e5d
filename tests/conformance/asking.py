"""Fixtures that ask the client: elicitation and sampling of the handshake era, input required of 2026-07-28.

Names and texts are the ones the scenarios of the conformance suite ask for.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, UserMessage
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, Field

from tests.conformance.content import text

__all__ = ["register"]

AnyContext = Context[Any, Any]
Answer = types.CallToolResult | types.InputRequiredResult

NAME: Final = {"name": {"type": "string"}}


class UserResponse(BaseModel):
    """What a person is asked for."""

    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    """A form whose members have defaults (SEP-1034)."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


def _titled(*pairs: tuple[str, str]) -> list[Any]:
    return [{"const": value, "title": title} for value, title in pairs]


class Enums(BaseModel):
    """A form of every kind of choice (SEP-1330); the scenario names the members."""

    untitledSingle: str = Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})
    titledSingle: str = Field(
        json_schema_extra={
            "oneOf": _titled(("value1", "First Option"), ("value2", "Second Option"), ("value3", "Third Option"))
        }
    )
    legacyEnum: str = Field(
        json_schema_extra={
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        }
    )
    untitledMulti: list[str] = Field(
        json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2", "option3"]}}
    )
    titledMulti: list[str] = Field(
        json_schema_extra={
            "items": {
                "anyOf": _titled(("value1", "First Choice"), ("value2", "Second Choice"), ("value3", "Third Choice"))
            }
        }
    )


def register(server: MCPServer[Any]) -> None:
    """Add the fixtures to a server."""
    _register_handshake(server)
    _register_single(server)
    _register_rounds(server)


def _register_handshake(server: MCPServer[Any]) -> None:
    @server.tool(structured_output=False)
    async def test_sampling(prompt: str, ctx: AnyContext) -> str:
        """Ask the client's model."""
        message = types.SamplingMessage(role="user", content=text(prompt))
        result = await ctx.session.create_message(messages=[message], max_tokens=100)  # pyright: ignore[reportDeprecated]
        return f"LLM response: {getattr(result.content, 'text', '')}"

    @server.tool(structured_output=False)
    async def test_elicitation(message: str, ctx: AnyContext) -> str:
        """Ask the person."""
        return f"User response: action={(await ctx.elicit(message=message, schema=UserResponse)).action}"

    @server.tool(structured_output=False)
    async def test_elicitation_sep1034_defaults(ctx: AnyContext) -> str:
        """Ask with defaults."""
        return f"Elicitation completed: action={(await ctx.elicit(message='defaults', schema=Defaults)).action}"

    @server.tool(structured_output=False)
    async def test_elicitation_sep1330_enums(ctx: AnyContext) -> str:
        """Ask with choices."""
        return f"Elicitation completed: action={(await ctx.elicit(message='enums', schema=Enums)).action}"


def _register_single(server: MCPServer[Any]) -> None:
    @server.tool(structured_output=False)
    async def test_missing_capability(ctx: AnyContext) -> str:
        """Work only for a client that samples."""
        capabilities = ctx.client_capabilities
        if capabilities is None or capabilities.sampling is None:
            required: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "sampling is required", required)
        return "done"

    @server.tool(structured_output=False)
    async def test_input_required_result_elicitation(ctx: AnyContext) -> Answer:
        """Ask for a name."""
        given = _content(ctx, "user_name")
        if not isinstance(given, Mapping) or "name" not in given:
            return _need({"user_name": elicit("What is your name?", NAME)})
        return done(f"Hello, {given['name']}!")

    @server.tool(structured_output=False)
    async def test_streaming_elicitation(ctx: AnyContext) -> Answer:
        """Ask for a name, whatever the transport."""
        return done("done") if _got(ctx, "user_name") else _need({"user_name": elicit("What is your name?", NAME)})

    @server.tool(structured_output=False)
    async def test_input_required_result_sampling(ctx: AnyContext) -> Answer:
        """Ask the client's model."""
        if not _got(ctx, "capital_question"):
            return _need({"capital_question": _sample("What is the capital of France?", 100)})
        return done(f"sampled: {getattr(_content(ctx, 'capital_question'), 'text', '')}")

    @server.tool(structured_output=False)
    async def test_input_required_result_list_roots(ctx: AnyContext) -> Answer:
        """Ask for the roots."""
        return (
            done("roots: received") if _got(ctx, "client_roots") else _need({"client_roots": types.ListRootsRequest()})
        )

    @server.tool(structured_output=False)
    async def test_input_required_result_capabilities(ctx: AnyContext) -> Answer:
        """Ask only for what the client can answer."""
        capabilities = ctx.client_capabilities
        wanted: dict[str, Any] = {}
        if capabilities is not None and capabilities.elicitation is not None:
            wanted["elicited"] = elicit("What is your name?", NAME)
        if capabilities is not None and capabilities.sampling is not None:
            wanted["sampled"] = _sample("hello", 10)
        if capabilities is not None and capabilities.roots is not None:
            wanted["rooted"] = types.ListRootsRequest()
        return done("done") if _got(ctx, *wanted) else _need(wanted)

    @server.prompt()
    async def test_input_required_result_prompt(ctx: AnyContext) -> list[UserMessage] | types.InputRequiredResult:
        """Ask before the prompt is given."""
        if not _got(ctx, "user_context"):
            question = elicit("What context should the prompt use?", {"context": {"type": "string"}})
            return _need({"user_context": question})
        return [UserMessage(content=text(f"context: {_content(ctx, 'user_context')}"))]


def _register_rounds(server: MCPServer[Any]) -> None:
    @server.tool(structured_output=False)
    async def test_input_required_result_request_state(ctx: AnyContext) -> Answer:
        """Carry a state over one round."""
        if _got(ctx, "confirm") and ctx.request_state == "first":
            return done("state-ok")
        return _need({"confirm": elicit("Please confirm", {"ok": {"type": "boolean"}})}, "first")

    @server.tool(structured_output=False)
    async def test_input_required_result_tampered_state(ctx: AnyContext) -> Answer:
        """Carry a state that nobody else may write."""
        if _got(ctx, "confirm"):
            return done("done")
        return _need({"confirm": elicit("Please confirm", {"ok": {"type": "boolean"}})}, "sealed")

    @server.tool(structured_output=False)
    async def test_input_required_result_multiple_inputs(ctx: AnyContext) -> Answer:
        """Ask for three things at once."""
        wanted = {
            "user_name": elicit("What is your name?", NAME),
            "greeting": _sample("Generate a greeting", 50),
            "client_roots": types.ListRootsRequest(),
        }
        return done("done") if _got(ctx, *wanted) else _need(wanted, "three")

    @server.tool(structured_output=False)
    async def test_input_required_result_multi_round(ctx: AnyContext) -> Answer:
        """Ask twice, one after the other."""
        if ctx.request_state == "one" and _got(ctx, "step1"):
            question = elicit("Step 2: What is your favorite color?", {"color": {"type": "string"}})
            return _need({"step2": question}, "two")
        if ctx.request_state == "two" and _got(ctx, "step2"):
            return done("both rounds done")
        return _need({"step1": elicit("Step 1: What is your name?", NAME)}, "one")


def done(words: str) -> types.CallToolResult:
    """Return a result of one text."""
    return types.CallToolResult(content=[text(words)])


def elicit(message: str, properties: dict[str, Any]) -> types.ElicitRequest:
    """Return a question to the person; every property is required."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(words: str, max_tokens: int) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=text(words))
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


def _need(requests: dict[str, Any], state: str | None = None) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def _got(ctx: AnyContext, *keys: str) -> bool:
    return all((ctx.input_responses or {}).get(key) is not None for key in keys)


def _content(ctx: AnyContext, key: str) -> object:
    response = (ctx.input_responses or {}).get(key)
    if isinstance(response, Mapping):
        return cast("Mapping[str, object]", response).get("content")
    return getattr(response, "content", None)
