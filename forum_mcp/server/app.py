"""The MCP server: our tools, resources and prompts on the SDK's session, in both protocol eras and over any transport.

The SDK's schema derivation and argument coercion are left aside on purpose: definitions are served as written in
``tools/`` and ``resources/`` and arguments are checked there. A request only looks at the forum; runs live outside
requests, so a client that goes away ends its call and not its run.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import mcp_types as types
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.shared.exceptions import MCPError

from forum_mcp import __version__
from forum_mcp.errors import ForumError, NotFound
from forum_mcp.resources import FAMILIES, FIXED, find
from forum_mcp.resources.completions import complete
from forum_mcp.resources.listing import page
from forum_mcp.resources.prompts import PROMPTS, prompt_text
from forum_mcp.server import rendering
from forum_mcp.server.asking import answer_to
from forum_mcp.server.changes import Bus, Mailbox, watch
from forum_mcp.server.errors import not_found, protocol_error, tool_error
from forum_mcp.server.instructions import INSTRUCTIONS, NAME, TITLE
from forum_mcp.server.lifespan import LazyForum, OpenForum, lazily
from forum_mcp.server.request_state import request_state
from forum_mcp.server.run_tasks import RunDesk
from forum_mcp.server.sampling import Lending
from forum_mcp.server.sdk import AnyContext, OpenServer, client_of
from forum_mcp.server.subscriptions import Holder, Listening
from forum_mcp.server.tasks import Desk, Tasks
from forum_mcp.tools import select, submit
from forum_mcp.tools.arguments import check, preview
from forum_mcp.tools.base import Tool
from forum_mcp.tools.caller import Caller

if TYPE_CHECKING:
    from mcp.server import MCPServer, ServerRequestContext
    from mcp.server.connection import Connection

    from forum_mcp.engine.forum import Forum
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["ForumServer", "build_server", "configure_logging"]

_DEFINITIONS: Final = CacheHint(ttl_ms=3_600_000, scope="public")
_CACHE_HINTS: Final[dict[CacheableMethod, CacheHint]] = {
    "tools/list": _DEFINITIONS,
    "prompts/list": _DEFINITIONS,
    "resources/templates/list": _DEFINITIONS,
}


class ForumServer(OpenServer):
    """The forum as an MCP server."""

    def __init__(self, open_forum: OpenForum, tools: Iterable[Tool], **settings: Any) -> None:
        configure_logging()
        self._open_forum = open_forum
        self._forum_tools = {tool.name: tool for tool in tools}
        self._asks = not all(tool.read_only for tool in self._forum_tools.values())
        self.bus = Bus()
        desk = self.task_desk() if submit.TOOL.name in self._forum_tools else None
        super().__init__(
            NAME,
            title=TITLE,
            version=__version__,
            description="A team you can hold to account: every step is an entry of a ledger a stranger can verify",
            instructions=INSTRUCTIONS,
            log_level="WARNING",
            lifespan=self._lifespan,
            subscriptions=self.bus,
            cache_hints=_CACHE_HINTS,
            request_state_security=request_state(),
            extensions=() if desk is None else (Tasks(desk),),
            **settings,
        )
        self.serve_method(
            "subscriptions/listen",
            types.SubscriptionsListenRequestParams,
            Listening(self.bus, desk, self._forum_of, self.holder_of).__call__,
        )

    def _lifespan(self, _: MCPServer[Any]) -> AbstractAsyncContextManager[LazyForum]:
        return lazily(self._serving, lambda forum, seen: watch(forum, self.bus, seen))

    @asynccontextmanager
    async def _serving(self) -> AsyncGenerator[Orchestrator]:
        """Open the forum, whose runs may ask clients for their models from now on."""
        async with self._open_forum() as forum:
            forum.sampler.serve()
            yield forum

    def task_desk(self) -> Desk:
        """Return where the tasks of this server are."""
        return RunDesk(self._forum_of)

    async def whole_forum(self, context: AnyContext | None) -> Orchestrator:
        """Return the open forum, opening it if need be."""
        return await _lazy(context).forum()

    async def forum_for(self, context: AnyContext | None) -> Forum:
        """Return the open forum, as whoever made the request may use it."""
        return await self.whole_forum(context)

    def holder_of(self, ctx: ServerRequestContext[Any, Any]) -> Holder:
        """Return who listens: the one client that there is."""
        return Holder()

    async def _forum_of(self, ctx: ServerRequestContext[Any, Any]) -> Forum:
        return await self.forum_for(self.context_of(ctx))

    async def list_tools(self) -> list[types.Tool]:
        """Return the definitions as written, always in the same order."""
        return [rendering.tool_definition(tool) for tool in self._forum_tools.values()]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: AnyContext | None = None
    ) -> types.CallToolResult | types.InputRequiredResult:
        """Check the arguments, call the forum, and answer with text and structured content, each complete.

        A client that shows forms is asked about the gates of a run that the call waits for.

        Raises:
            MCPError: there is no such tool.
            ToolError: the call was refused or failed; the text is for the model.
        """
        tool = self._forum_tools.get(name)
        if tool is None:
            close = get_close_matches(name[:80], self._forum_tools, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            served = ", ".join(self._forum_tools)
            raise MCPError(code=types.INVALID_PARAMS, message=f"unknown tool {preview(name)}{hint} (tools: {served})")
        try:
            checked = check(tool, arguments)
            forum, caller = await self.forum_for(context), _caller(context)
            if context is not None and self._asks:
                view = await answer_to(tool, forum, checked, caller, context)
            else:
                view = await tool.handler(forum, checked, caller)
            return view if isinstance(view, types.InputRequiredResult) else rendering.result(view, tool)
        except MCPError:
            raise
        except Exception as exc:
            raise tool_error(exc, name) from exc

    async def list_resources_page(self, cursor: str | None, context: AnyContext) -> types.ListResourcesResult:
        """Return the fixed resources, then the newest runs and entries, in pages."""
        try:
            found = await page(await self.forum_for(context), cursor, FIXED)
        except Exception as exc:
            raise protocol_error(exc, "resources/list") from exc
        return types.ListResourcesResult(
            resources=[rendering.resource(listed) for listed in found.resources], next_cursor=found.next_cursor
        )

    async def list_resource_templates(self) -> list[types.ResourceTemplate]:
        """Return the template of each family that has a variable part."""
        return [rendering.template(family) for family in FAMILIES if family.variable is not None]

    async def read_contents(self, uri: str, context: AnyContext) -> types.ReadResourceResult:
        """Return what a URI holds, and how long that stays fresh.

        Raises:
            MCPError: there is no such resource, or reading it failed.
        """
        found = find(uri)
        if found is None:
            why = "no family of resources has this URI; see resources/templates/list"
            raise not_found(uri, why, context.protocol_version)
        family, variable = found
        try:
            content = await family.read(await self.forum_for(context), variable)
        except NotFound as exc:
            raise not_found(uri, str(exc), context.protocol_version) from exc
        except Exception as exc:
            raise protocol_error(exc, f"reading a resource of family '{family.name}'") from exc
        return rendering.contents(uri, content, family)

    async def subscribe(self, uri: str, connection: Connection, context: AnyContext) -> None:
        """Tell a client of the handshake era whenever ``uri`` changes.

        Raises:
            MCPError: there is no such resource.
        """
        if find(uri) is None:
            raise not_found(uri, "no family of resources has this URI", context.protocol_version)
        self._mailbox(connection, context).uris.add(uri)

    async def unsubscribe(self, uri: str, connection: Connection) -> None:
        """End what ``subscribe`` began."""
        if (mailbox := Mailbox.of(connection)) is not None:
            mailbox.uris.discard(uri)

    async def connected(self, connection: Connection, context: AnyContext) -> None:
        """Have a client of the handshake era told when ``resources/list`` changes."""
        self._mailbox(connection, context)

    def _mailbox(self, connection: Connection, context: AnyContext) -> Mailbox:
        mailbox = Mailbox.of(connection)
        if mailbox is None:
            mailbox = Mailbox.open(connection, self.bus, partial(self.forum_for, context))
            _lazy(context).start(mailbox.deliver)
        return mailbox

    async def complete(self, params: types.CompleteRequestParams, context: AnyContext) -> types.Completion:
        """Return how an argument of a template or prompt of ours may go on; nothing for one that is not."""
        if not _is_ours(params):
            return types.Completion(values=[], total=0, has_more=False)
        try:
            found = await complete(await self.forum_for(context), params.argument.name, params.argument.value)
        except Exception as exc:
            raise protocol_error(exc, "completion/complete") from exc
        return types.Completion(values=found.values, total=found.total, has_more=found.total > len(found.values))

    async def list_prompts(self) -> list[types.Prompt]:
        """Return the prompts as written, always in the same order."""
        return [rendering.prompt_definition(prompt) for prompt in PROMPTS]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: AnyContext | None = None
    ) -> types.GetPromptResult | types.InputRequiredResult:
        """Return a prompt's text.

        Raises:
            MCPError: there is no such prompt, or an argument is missing, unknown or too long.
        """
        try:
            prompt, text = prompt_text(name, arguments or {})
        except NotFound as exc:
            raise MCPError(code=types.INVALID_PARAMS, message=str(exc)) from exc
        except Exception as exc:
            raise protocol_error(exc, "prompts/get") from exc
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=prompt.description, messages=[message])


def build_server(open_forum: OpenForum, *, tools: str = "all", read_only: bool = False) -> ForumServer:
    """Return a server over the forum that ``open_forum`` opens.

    Args:
        open_forum: opens a forum; called when the first request needs it, never before.
        tools: toolset, see ``tools.select``.
        read_only: serve no tool that changes the record.

    Raises:
        ConfigRefused: the toolset names something that does not exist.
    """
    return ForumServer(open_forum, select(tools, read_only=read_only))


def configure_logging() -> None:
    """Send diagnostics to stderr, plainly; the SDK would otherwise set up the root logger its own way."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def _lazy(context: AnyContext | None) -> LazyForum:
    lazy = None if context is None else context.request_context.lifespan_context
    if not isinstance(lazy, LazyForum):
        raise ForumError("a request came outside a connection of a started server")
    return lazy


def _caller(context: AnyContext | None) -> Caller:
    if context is None:
        raise ForumError("a tool was called outside a connection")
    client = client_of(context.session)
    return Caller(client, partial(_tell, context), Lending(context, client))


async def _tell(context: AnyContext, waited_s: float, line: str) -> None:
    """Send a line of progress, where the client asked for it; the SDK knows."""
    await context.report_progress(round(waited_s, 1), message=line)


def _is_ours(params: types.CompleteRequestParams) -> bool:
    """Tell whether the argument is one of the template or prompt that the reference names."""
    argument = params.argument.name
    if isinstance(params.ref, types.PromptReference):
        names = (each.name for prompt in PROMPTS if prompt.name == params.ref.name for each in prompt.arguments)
        return argument in names
    return any(family.uri == params.ref.uri and family.variable_name == argument for family in FAMILIES)
