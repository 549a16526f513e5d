"""Several principals on one server: whom tokens stand for, what each may do, and that nothing crosses."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import jwt
import pytest

from forum_mcp.engine.ledger import Ledger
from forum_mcp.server.auth_jwt import principal_name
from tests.server.http_peer import ISSUER, META, Issuer, Shared, sharing

RUNS = 4


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A server that takes tokens of an issuer."""
    with sharing(tmp_path_factory.mktemp("shared")) as shared:
        yield shared


def test_a_stranger_learns_where_to_get_a_token(shared: Shared) -> None:
    response = shared.server.post(None, "tools/list")
    assert response.status_code == 401
    challenge = response.headers["www-authenticate"]
    assert "error=" not in challenge, "nothing was wrong with a token: there was none"
    metadata = challenge.partition('resource_metadata="')[2].partition('"')[0]
    assert metadata == f"{shared.server.url}/.well-known/oauth-protected-resource/mcp"
    document = httpx2.get(metadata).json()
    assert document["resource"] == shared.audience
    assert document["authorization_servers"] == [ISSUER]
    assert document["scopes_supported"] == ["forum:read", "forum:submit", "forum:approve", "forum:admin"]


def bad_tokens(shared: Shared) -> Iterator[tuple[str, str]]:
    good = shared.token("alice")
    other = Issuer(shared.ledger.parent / "elsewhere")
    now = int(time.time())
    yield "expired", shared.token("alice", exp=now - 3_600)
    yield "not yet", shared.token("alice", nbf=now + 3_600)
    yield "another audience", shared.token("alice", aud="https://other.example/mcp")
    yield "the server without its path", shared.token("alice", aud=shared.server.url)
    yield "another issuer", shared.token("alice", iss="https://evil.example")
    yield "nobody's", shared.token("", client_id="")
    yield "signed by somebody else", other.token(shared.audience, "alice")
    yield "cut", good[:-4]
    yield "changed", ".".join([good.split(".")[0], good.split(".")[1][:-2] + "AA", good.split(".")[2]])
    claims = {"iss": ISSUER, "aud": shared.audience, "sub": "alice", "exp": now + 60, "scope": "forum:admin"}
    yield "unsigned", jwt.encode(claims, "", algorithm="none")
    yield "signed with a secret", jwt.encode(claims, "s" * 64, algorithm="HS256", headers={"kid": "k1"})
    yield "no token at all", "a.b.c"
    yield "huge", "a" * 20_000


def test_every_bad_token_is_refused_alike(shared: Shared) -> None:
    (shared.ledger.parent / "elsewhere").mkdir()
    told = set[str]()
    for what, token in bad_tokens(shared):
        response = shared.server.post(token, "tools/list")
        assert response.status_code == 401, what
        assert 'error="invalid_token"' in response.headers["www-authenticate"], what
        told.add(response.text)
    assert len(told) == 1, "why a token is refused is not told"
    assert shared.server.post(shared.token("alice"), "tools/list").status_code == 200


def test_what_a_scope_does_not_cover_is_refused_with_the_scope_to_ask_for(shared: Shared) -> None:
    reader = shared.token("reader", scope="forum:read")
    assert shared.server.call(reader, "route", request="write a poem")["chosen"]
    for tool, arguments in (
        ("submit", {"request": "write a poem"}),
        ("plan", {"request": "write a poem"}),
        ("work", {"action": "next"}),
        ("run_control", {"run_id": "0" * 32, "action": "cancel"}),
    ):
        response = shared.server.post(reader, "tools/call", name=tool, arguments=arguments)
        assert response.status_code == 403, tool
        assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
        assert "forum:submit" in response.headers["www-authenticate"]
    for scope in ("", "other:scope", "forum:submit"):
        response = shared.server.post(shared.token("none", scope=scope), "tools/call", name="run", arguments={})
        assert response.status_code == 403, scope
    assert shared.server.call(reader, "run")["runs"] == []


def test_two_principals_with_equal_ids_in_parallel_share_nothing(shared: Shared) -> None:
    server, names = shared.server, ("carol", "dave")
    tokens = {name: shared.token(name) for name in names}

    def work(job: tuple[str, int]) -> str:
        name, number = job
        begun = server.call(
            tokens[name],
            "submit",
            request=f"write a poem {number}, privately for {name}",
            single=True,
            idempotency_key=f"key-{number}",
            wait_s=0,
        )
        return str(begun["run_id"])

    jobs = [(name, number) for number in range(RUNS) for name in (*names, *names)]
    with ThreadPoolExecutor(8) as pool:
        runs = dict[tuple[str, int], set[str]]()
        for job, run_id in zip(jobs, pool.map(work, jobs), strict=True):
            runs.setdefault(job, set()).add(run_id)
    assert all(len(ids) == 1 for ids in runs.values()), "an idempotency key joins its own run"
    ids = {name: {next(iter(runs[name, number])) for number in range(RUNS)} for name in names}
    assert not ids["carol"] & ids["dave"], "and nobody else's"
    for name, other in (("carol", "dave"), ("dave", "carol")):
        token = tokens[name]
        assert {run["run_id"] for run in server.call(token, "run")["runs"]} == ids[name]
        for foreign in ids[other]:
            refuse_everything_about(shared, token, foreign)
        taken = server.call(token, "work", action="next", limit=20)
        assert {item["run_id"] for item in taken["items"]} <= ids[name]
        told = everything_told_to(shared, token)
        assert f"privately for {other}" not in told
        assert not [run_id for run_id in ids[other] if run_id in told]


def refuse_everything_about(shared: Shared, token: str, run_id: str) -> None:
    """Try every way to a run of somebody else."""
    server = shared.server
    for tool, arguments in (
        ("run", {"run_id": run_id}),
        ("submit", {"run_id": run_id}),
        ("run_control", {"run_id": run_id, "action": "cancel"}),
        ("run_control", {"run_id": run_id, "action": "resume"}),
        ("run_control", {"run_id": run_id, "action": "fork"}),
        ("work", {"action": "next", "run_id": run_id}),
    ):
        assert "not in this ledger" in server.refused(token, tool, **arguments)
    assert server.call(token, "ledger_show", run_id=run_id)["entries"] == []
    for uri in (f"forum://runs/{run_id}", f"forum://runs/{run_id}/report"):
        assert "error" in server.post(token, "resources/read", uri=uri).json()
    task: dict[str, object] = {
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    }
    for method in ("tasks/get", "tasks/cancel"):
        message = {"jsonrpc": "2.0", "id": 1, "method": method}
        params = {"taskId": run_id, "_meta": {**META, **task}}
        headers = {
            "authorization": f"Bearer {token}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
            "mcp-name": run_id,
        }
        answer = httpx2.post(f"{server.url}/mcp", json={**message, "params": params}, headers=headers)
        assert "error" in answer.json(), answer.text


def everything_told_to(shared: Shared, token: str) -> str:
    """Return all that a principal can read of the record, by every door."""
    server = shared.server
    with Ledger.open(shared.ledger, create=False, read_only=True) as ledger:
        entries = ledger.show(limit=10_000).entries
    seqs = [entry.seq for entry in entries]
    commits = {str(body["commit"]) for entry in entries for body in entry.bodies.values()}
    uris = [f"forum://ledger/bodies/{commit}" for commit in sorted(commits)[:60]]
    uris += ["forum://status", "forum://runs", "forum://ledger/recent"]
    told: list[object] = [
        server.call(token, "ledger_show", limit=200, bodies=True),
        server.call(token, "ledger_replay"),
        server.call(token, "ledger_verify", level=4),
        server.call(token, "ledger_show", text="privately"),
        server.post(token, "resources/list").json(),
    ]
    for seq in seqs[:: max(1, len(seqs) // 25)]:
        uris += [f"forum://ledger/entries/{seq}", f"forum://ledger/proofs/{seq}"]
        told.append(server.call(token, "ledger_show", seq=seq, bodies=True))
        traced = [{"seq": seq}, {"seq": seq, "down": True}]
        told += [server.post(token, "tools/call", name="ledger_trace", arguments=given).json() for given in traced]
    told += [server.post(token, "resources/read", uri=uri).json() for uri in uris]
    return json.dumps(told)


def test_of_an_entry_of_somebody_else_there_is_the_leaf_hash_and_its_proof(shared: Shared) -> None:
    server = shared.server
    begun = server.call(shared.token("erin"), "submit", request="write a poem", single=True, wait_s=0)
    seq = begun["entries"][0]
    mine = server.call(shared.token("erin"), "ledger_show", seq=seq)["entries"][0]
    assert mine["actor"] == f"host:{principal_name('sub', 'erin')}"
    theirs = server.call(shared.token("frank"), "ledger_show", seq=seq)["entries"][0]
    assert theirs["leaf"] == mine["leaf"]
    assert (theirs["kind"], theirs["run"], theirs["data"], theirs["bodies"]) == ("withheld", None, {}, {})
    frank = shared.token("frank")
    proof = server.post(frank, "resources/read", uri=f"forum://ledger/proofs/{seq}").json()["result"]
    assert "tlog-proof" in proof["contents"][0]["text"]
    assert server.call(frank, "ledger_verify", level=4)["clean"] is True
    assert server.call(frank, "ledger_show", seq=0)["entries"][0]["kind"] == "ledger.opened"
    admin = shared.token("root", scope="forum:admin")
    assert server.call(admin, "ledger_show", seq=seq)["entries"][0]["kind"] == "run.started"
    assert server.call(admin, "run", run_id=begun["run_id"])["request"] == "write a poem"


def test_a_session_is_its_principals_and_nobody_elses(shared: Shared) -> None:
    url, version = f"{shared.server.url}/mcp", "2025-11-25"
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": version}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    alice = {**headers, "authorization": f"Bearer {shared.token('alice')}"}
    session = httpx2.post(url, json=begin, headers=alice).headers["mcp-session-id"]
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    for who, status in (("alice", 200), ("mallory", 404)):
        given = {**headers, "authorization": f"Bearer {shared.token(who)}", "mcp-session-id": session}
        assert httpx2.post(url, json=ping, headers=given).status_code == status


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("sub", "alice"), ("client", "alice")),
        (("sub", "a b"), ("sub", "a%20b")),
        (("sub", "x" * 400), ("sub", "x" * 401)),
        (("sub", "sha256=00"), ("sub", "sha256%3D00")),
        (("sub", "\u0430lice"), ("sub", "alice")),
    ],
)
def test_different_principals_have_different_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    names = principal_name(*one), principal_name(*other)
    assert names[0] != names[1]
    assert all(len(name) <= 190 and name.isascii() and name.isprintable() for name in names)
