"""What the server says unasked over HTTP: news of the record, questions to the person; only to whom it is due."""

# pyright: reportDeprecated=false

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import anyio.abc
import pytest
from mcp import Client

from forum_mcp.resources.changes import Changes
from forum_mcp.server.auth_jwt import principal_name
from tests.server.http_peer import ALL, Shared, sharing
from tests.server.test_approvals import Person
from tests.server.test_changes import News

OPEN = {"forum://status", "forum://ledger/checkpoint"}
UNTRUSTED = "forum:read forum:submit"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A server with a team that answers at once."""
    home = tmp_path_factory.mktemp("news")
    (home / "script.json").write_text(json.dumps({"replies": [], "default": {"reply": "roses"}}))
    with sharing(home, "--scripted", str(home / "script.json")) as shared:
        yield shared


async def called(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return cast("dict[str, Any]", result.structured_content)


@asynccontextmanager
async def listening(shared: Shared, subject: str, era: str, uris: list[str]) -> AsyncGenerator[tuple[Client, News]]:
    """Connect a principal who hears of resources and of changed lists."""
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

    async with shared.client(subject, era, message_handler=hear) as client, anyio.create_task_group() as group:
        if era == "legacy":
            for uri in uris:
                await client.session.subscribe_resource(uri)
        else:
            await group.start(stream, client)
        yield client, news
        group.cancel_scope.cancel()


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_principal_hears_of_its_own_runs_and_of_nobody_elses(shared: Shared, era: str) -> None:
    async with shared.client("alice", era) as alice, shared.client("bob", era) as bob:
        theirs = (await called(alice, "plan", request="write a poem", single=True))["run_id"]
        mine = (await called(bob, "plan", request="write a poem", single=True))["run_id"]
        uris = [f"forum://runs/{run}" for run in (theirs, mine)] + [f"forum://runs/{theirs}/report", *OPEN]
        uris += ["forum://runs", "forum://ledger/recent"]
        async with listening(shared, "bob", era, uris) as (_, news):
            await called(alice, "submit", run_id=theirs)
            await news.of("forum://ledger/checkpoint")
            await called(bob, "submit", run_id=mine)
            for uri in (f"forum://runs/{mine}", "forum://runs", "forum://ledger/recent", ""):
                await news.of(uri)
            assert not [uri for uri in news.heard if theirs in uri]


def test_of_what_somebody_else_did_only_that_the_record_grew_is_told() -> None:
    changes = Changes(("theirs", "mine"), frozenset({"theirs"}))
    own = changes.seen(lambda run: run == "mine")
    assert (own.runs, own.listed) == (("mine",), frozenset())
    assert not [uri for uri in own.uris() if "theirs" in uri]
    nothing = changes.seen(lambda run: False)
    assert (set(nothing.uris()), nothing.listed) == (OPEN, frozenset())
    assert {"forum://runs", "forum://runs/theirs/report"} < set(changes.uris())


@pytest.mark.parametrize("scope", [ALL, UNTRUSTED])
async def test_over_http_who_may_approve_is_asked_and_nobody_else(shared: Shared, era: str, scope: str) -> None:
    person = Person("approve")
    async with shared.client("carol", era, scope, elicitation_callback=person) as client:
        run = await called(client, "submit", request="write a poem", single=True, approve="run")
        shown = await called(client, "ledger_show", run_id=run["run_id"], kind="gate.resolved")
        if scope == UNTRUSTED:
            assert (run["state"], person.shown, shown["entries"]) == ("waiting", [], [])
            [gate] = run["gates"]
            refused = await client.call_tool(
                "run_control", {"run_id": run["run_id"], "action": "approve", "gate": gate}
            )
            assert refused.is_error
        else:
            assert (run["state"], len(person.shown)) == ("succeeded", 1)
            [resolution] = shown["entries"]
            assert resolution["actor"] == f"host:{principal_name('sub', 'carol')}"
            assert resolution["data"]["how"] == "elicitation"
