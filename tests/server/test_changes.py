"""News of the record: subscriptions and change notifications of both protocol eras."""

# pyright: reportDeprecated=false

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.app import build_server
from forum_mcp.server.changes import Bus

HEADS = ["forum://status", "forum://runs", "forum://ledger/recent", "forum://ledger/checkpoint"]


class News:
    """What a client was told, whatever its era: URIs, and "" for a changed list."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._more = anyio.Event()

    def hear(self, what: str) -> None:
        self.heard.append(what)
        self._more.set()
        self._more = anyio.Event()

    async def of(self, what: str) -> None:
        """Wait until the client was told of it."""
        with anyio.fail_after(20):
            while what not in self.heard:
                await self._more.wait()


@asynccontextmanager
async def listening(
    connect: Callable[..., AbstractAsyncContextManager[Client]], era: str, uris: list[str]
) -> AsyncGenerator[tuple[Client, News]]:
    """Connect a client of an era that hears of resources and of changed lists."""
    news = News()

    async def hear(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            news.hear(str(message.params.uri))
        elif getattr(message, "method", "") == "notifications/resources/list_changed":
            news.hear("")

    async def stream(client: Client, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with client.listen(resources_list_changed=True, resource_subscriptions=uris) as subscription:
            task_status.started()
            async for event in subscription:
                news.hear(getattr(event, "uri", ""))

    async with connect(message_handler=hear) as client, anyio.create_task_group() as group:
        if era == "legacy":
            for uri in uris:
                await client.session.subscribe_resource(uri)
        else:
            await group.start(stream, client)
        yield client, news
        group.cancel_scope.cancel()


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_subscriber_hears_of_each_head_and_of_new_runs(era: str, scripted_settings: Settings) -> None:
    server = build_server(lambda: Orchestrator.open(scripted_settings))
    async with listening(partial(Client, server, mode=era), era, HEADS) as (client, news):
        run = (await client.call_tool("submit", {"request": "write a poem"})).structured_content
        assert run is not None
        for uri in (*HEADS, ""):
            await news.of(uri)
        assert not (await client.call_tool("ledger_verify", {"level": 4})).is_error


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_subscriber_of_one_run_hears_of_that_run_and_no_other(era: str, host_settings: Settings) -> None:
    server = build_server(lambda: Orchestrator.open(host_settings))
    async with Client(server, mode=era) as first:
        runs = [
            (await first.call_tool("submit", {"request": f"poem {i}", "single": True})).structured_content
            for i in range(2)
        ]
    mine, other = (f"forum://runs/{run['run_id']}" for run in runs if run)
    async with listening(partial(Client, server, mode=era), era, [mine]) as (client, news):
        await client.call_tool("run", {})
        for uri in (other, mine):
            await client.call_tool("run_control", {"run_id": uri.rpartition("/")[2], "action": "cancel"})
        await news.of(mine)
        assert other not in news.heard


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_what_another_process_appends_is_news_too(era: str, host_settings: Settings) -> None:
    server = build_server(lambda: Orchestrator.open(host_settings))
    async with listening(partial(Client, server, mode=era), era, ["forum://ledger/recent"]) as (client, news):
        await client.call_tool("run", {})
        assert host_settings.ledger is not None
        with Ledger.open(host_settings.ledger) as ledger:
            ledger.append("note.made", actor="person:local")
        await news.of("forum://ledger/recent")


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_resource_that_cannot_exist_cannot_be_subscribed_to(host_settings: Settings) -> None:
    server = build_server(lambda: Orchestrator.open(host_settings))
    async with Client(server, mode="legacy") as client:
        with pytest.raises(MCPError, match="resource not found"):
            await client.session.subscribe_resource("forum://nope")
        await client.session.subscribe_resource("forum://status")
        await client.session.unsubscribe_resource("forum://status")
        await client.session.unsubscribe_resource("forum://status")


async def test_nothing_is_watched_while_nobody_listens() -> None:
    bus = Bus()
    ends: list[Callable[[], None]] = [bus.subscribe(lambda event: None), bus.follow(lambda changes: None)]
    with anyio.fail_after(5):
        await bus.wanted()
    for end in ends:
        end()
        end()
    with anyio.move_on_after(0.05) as scope:
        await bus.wanted()
    assert scope.cancelled_caught


async def test_what_is_read_says_how_long_it_stays_fresh(scripted_settings: Settings) -> None:
    server = build_server(lambda: Orchestrator.open(scripted_settings))
    async with Client(server) as client:
        run = (await client.call_tool("submit", {"request": "write a poem"})).structured_content
        assert run is not None
        entry = await client.read_resource("forum://ledger/entries/0")
        assert (entry.ttl_ms, entry.cache_scope) == (86_400_000, "private")
        for uri in (*HEADS, f"forum://runs/{run['run_id']}"):
            assert (await client.read_resource(uri)).ttl_ms == 0
        assert (await client.list_tools()).ttl_ms == 3_600_000
