"""What the server says unasked over HTTP: news of the record, questions to the person; only to whom it is due."""

# pyright: reportDeprecated=false

import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import httpx2
import pytest
from mcp import Client

from forum_mcp.resources.changes import Changes
from forum_mcp.server.auth_jwt import LEEWAY_S, principal_name
from forum_mcp.server.subscriptions import STREAMS_MAX
from tests.server.http_peer import ALL, META, Shared, sharing
from tests.server.test_approvals import Person
from tests.server.test_changes import listening

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


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_principal_hears_of_its_own_runs_and_of_nobody_elses(shared: Shared, era: str) -> None:
    async with shared.client("alice", era) as alice, shared.client("bob", era) as bob:
        theirs = (await called(alice, "plan", request="write a poem", single=True))["run_id"]
        mine = (await called(bob, "plan", request="write a poem", single=True))["run_id"]
        uris = [f"forum://runs/{run}" for run in (theirs, mine)] + [f"forum://runs/{theirs}/report", *OPEN]
        uris += ["forum://runs", "forum://ledger/recent"]
        async with listening(partial(shared.client, "bob", era), era, uris) as (_, news):
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


class Streams:
    """Connections of one client after the other that listen, until the test ends."""

    def __init__(self, shared: Shared, client: httpx2.Client) -> None:
        self._shared = shared
        self._client = client

    def open(self, subject: str, **claims: object) -> tuple[str, Iterator[str]]:
        """Ask for news in the modern era; return the first message of the answer, and the lines that follow."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen"}
        params = {"notifications": {"resourcesListChanged": True}, "_meta": META}
        headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen"}
        lines = self.send("POST", subject, headers, {**message, "params": params}, **claims).iter_lines()
        return next(line for line in lines if "jsonrpc" in line), lines

    def send(self, verb: str, subject: str, headers: dict[str, str], message: object, **claims: object) -> Any:
        """Send one request; return the answer, whose body was not read yet."""
        given = {
            "accept": "application/json, text/event-stream",
            "authorization": f"Bearer {self._shared.token(subject, **claims)}",
            **headers,
        }
        request = self._client.build_request(verb, self._shared.audience, headers=given, json=message)
        return self._client.send(request, stream=True)


@pytest.fixture
def streams(shared: Shared) -> Iterator[Streams]:
    """Open streams that end with the test."""
    with httpx2.Client(timeout=60, limits=httpx2.Limits(max_connections=None)) as client:
        yield Streams(shared, client)


def test_who_takes_every_stream_gives_one_up_to_whoever_has_none(streams: Streams) -> None:
    taken = [streams.open("alice") for _ in range(STREAMS_MAX)]
    refusal, _ = streams.open("alice")
    assert "64 of them yours" in refusal
    assert "any number of resources" in refusal
    first, _ = streams.open("bob")
    assert "acknowledged" in first
    _, lines = taken[-1]
    assert any('"result"' in line for line in lines), "the stream was ended, not cut off"


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_stream_ends_whole_with_the_token_it_was_opened_with(streams: Streams, revision: str) -> None:
    soon = int(time.time()) + 1 - LEEWAY_S
    if revision == "2026-07-28":
        _, lines = streams.open("alice", exp=soon)
        assert any('"result"' in line for line in lines)
    else:
        client = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
        session = streams.send("POST", "alice", {}, begin).headers["mcp-session-id"]
        headers = {"mcp-session-id": session, "mcp-protocol-version": revision}
        answer = streams.send("GET", "alice", headers, None, exp=soon)
        assert answer.status_code == 200
        answer.read()
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        assert streams.send("POST", "alice", headers, ping).status_code == 200, "the session goes on with a new token"
    again = streams.send("GET", "alice", {"mcp-protocol-version": revision}, None, exp=soon)
    assert again.status_code == 401
