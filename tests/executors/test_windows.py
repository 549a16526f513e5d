"""The context window that a model server tells, each in its own place, is the one it serves."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from forum_mcp.cli.doctor.lines import Line, Patient
from forum_mcp.cli.doctor.team import executors
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.engine.detecting import detect
from forum_mcp.executors.windows import context_window, listed_window

Page = Mapping[str, object]
Pages = Mapping[str, Page]

LISTED: Page = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "x"}]}
LLAMA_CPP: Pages = {"/props": {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 4}}
LM_STUDIO: Pages = {
    "/api/v0/models": {
        "data": [{"id": "other", "loaded_context_length": 1}, {"id": "m", "loaded_context_length": 16384}]
    }
}
OLLAMA_RUNNING: Pages = {
    "/api/ps": {"models": [{"model": "m:latest", "context_length": 4096}]},
    "/api/show": {"parameters": "stop x\nnum_ctx                        2048", "model_info": {"a.context_length": 9}},
}
OLLAMA_AT_REST: Pages = {"/api/ps": {"models": []}, "/api/show": OLLAMA_RUNNING["/api/show"]}
KOBOLD: Pages = {"/api/extra/true_max_context_length": {"value": 6144}}
ONLY_TRAINED: Pages = {
    "/api/show": {"model_info": {"llama.context_length": 131072}},
    "/api/v0/models": {"data": [{"id": "m", "state": "not-loaded", "max_context_length": 32768}]},
}


class ModelServer(ThreadingHTTPServer):
    """Serves a page for each path, 404 elsewhere; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, Page] = {"/v1/models": LISTED}
        self.asked: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, ModelServer)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append((self.path, body))
        page = self.server.pages.get(self.path.partition("?")[0])
        data = json.dumps(page).encode()
        self.send_response(404 if page is None else 200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("pages", "tokens"),
    [
        (LLAMA_CPP, 8192),
        (LM_STUDIO, 16384),
        (OLLAMA_RUNNING, 4096),
        (OLLAMA_AT_REST, 2048),
        (KOBOLD, 6144),
        (ONLY_TRAINED, None),
        ({}, None),
    ],
    ids=["llama.cpp", "LM Studio", "Ollama running", "Ollama at rest", "KoboldCpp", "only trained", "none"],
)
async def test_each_server_is_asked_where_it_tells_what_it_serves(
    models: ModelServer, pages: Pages, tokens: int | None
) -> None:
    models.pages.update(pages)
    async with httpx2.AsyncClient(trust_env=False) as client:
        assert await context_window(client, models.url, "m", {}, 30) == tokens
    paths = dict(models.asked)
    assert "/props?model=m&autoload=false" in paths, "asking loads no model"
    assert json.loads(paths["/api/show"]) == {"model": "m"}


@pytest.mark.parametrize(
    ("entry", "tokens"),
    [
        ({"id": "m", "max_model_len": 40960}, 40960),
        ({"id": "m", "meta": {"n_ctx": 4096, "n_ctx_train": 131072}}, 4096),
        ({"id": "m", "meta": {"n_ctx_train": 131072}}, None),
        ({"id": "m", "context_length": "many", "meta": 7}, None),
        ({"id": "m", "max_model_len": 0}, None),
    ],
)
def test_the_list_of_models_tells_it_or_does_not(entry: Page, tokens: int | None) -> None:
    assert listed_window(entry) == tokens


async def test_what_is_found_on_this_machine_comes_with_its_window(models: ModelServer) -> None:
    port = int(models.server_address[1])
    models.pages.update(LLAMA_CPP)
    (found,) = (await detect({"PATH": ""}, ports={port: "llama.cpp"})).servers
    assert (found.models, found.context_tokens) == (["m"], 8192)
    models.asked.clear()
    models.pages["/v1/models"] = {"data": [{"id": "m", "max_model_len": 512}]}
    (found,) = (await detect({"PATH": ""}, ports={port: "vLLM"})).servers
    assert found.context_tokens == 512
    assert [path for path, _ in models.asked] == ["/v1/models"], "who told already is not asked again"


async def looked_at(models: ModelServer, place: Path, more: str = "") -> Line:
    config = place / "c.toml"
    config.write_text(f"[executors.a]\ntype = 'chat'\nurl = '{models.url}'\nmodel = 'm'\n{more}")
    flags = Flags(config=str(config))
    (line,) = await executors(Patient(flags, load(flags), place, live=False, seconds=100))
    return line


async def test_the_doctor_compares_the_window_with_the_configuration(models: ModelServer, tmp_path: Path) -> None:
    assert "does not tell its context window" in (await looked_at(models, tmp_path)).what
    models.pages.update(LLAMA_CPP)
    line = await looked_at(models, tmp_path)
    assert (line.status, line.what.endswith("model m, 8192 tokens a call")) == ("ok", True)
    assert (await looked_at(models, tmp_path, "context_tokens = 8192")).status == "ok"
    line = await looked_at(models, tmp_path, "context_tokens = 32768")
    assert (line.status, line.fix.partition(",")[0]) == ("warn", "write context_tokens = 8192")
    models.pages.update({**OLLAMA_AT_REST, "/props": {}})
    assert "may not fit" in (await looked_at(models, tmp_path)).what
