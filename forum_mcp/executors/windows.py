"""How much a model server takes in one call: its context window as it is served, which may be less than the model's.

Each server tells it in its own place: vLLM, SGLang and several providers in the entry of ``/v1/models``, llama.cpp in
``/props`` (a slot's share), LM Studio in ``/api/v0/models`` once a model is loaded, Ollama in ``/api/ps`` while it runs
and in the parameters of ``/api/show``, KoboldCpp in ``/api/extra/true_max_context_length``. What a model was trained
for is not what it is served with, and is never taken for it. No model is loaded by asking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

import anyio

from forum_mcp.executors.reading import as_count, as_object
from forum_mcp.executors.wire import decoded_object

if TYPE_CHECKING:
    import httpx2

__all__ = ["ANSWER_MAX_BYTES", "answered", "context_window", "listed_window"]

ANSWER_MAX_BYTES: Final = 1_048_576
_MEMBERS: Final = ("max_model_len", "context_window", "context_length", "loaded_context_length")
_NUM_CTX: Final = re.compile(r"^\s*num_ctx\s+(\d{1,9})\s*$", re.MULTILINE)


def listed_window(entry: Mapping[str, object]) -> int | None:
    """Return the tokens that a model's entry in ``/v1/models`` tells, or None."""
    told = [entry.get(name) for name in _MEMBERS] + [as_object(entry.get("meta")).get("n_ctx")]
    return next((tokens for each in told if (tokens := as_count(each))), None)


async def context_window(
    client: httpx2.AsyncClient, url: str, model: str, headers: Mapping[str, str], timeout_s: float
) -> int | None:
    """Ask a server that lists none for the tokens a call to ``model`` may hold; None: it does not tell.

    Args:
        client: as the caller made it.
        url: base URL, which ends in ``/v1`` where there are more doors than the usual ones.
        model: the model's id.
        headers: of each request.
        timeout_s: longest time, seconds, all in all.
    """
    root = url.rstrip("/").removesuffix("/v1")
    found: dict[int, int] = {}

    async def ask(rank: int, path: str, body: Mapping[str, object] | None = None) -> None:
        answer = await answered(client, f"{root}{path}", headers, body)
        tokens = None if answer is None else _READERS[rank](answer, model)
        if tokens:
            found[rank] = tokens

    with anyio.move_on_after(timeout_s):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, 0, f"/props?model={quote(model, safe='')}&autoload=false")
            tasks.start_soon(ask, 1, "/api/v0/models")
            tasks.start_soon(ask, 2, "/api/ps")
            tasks.start_soon(ask, 3, "/api/show", {"model": model})
            tasks.start_soon(ask, 4, "/api/extra/true_max_context_length")
    return found[min(found)] if found else None


async def answered(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], body: Mapping[str, object] | None = None
) -> Mapping[str, object] | None:
    """Return the JSON object a URL answers, at most ``ANSWER_MAX_BYTES``; None for whatever else comes."""
    import httpx2

    data = bytearray()
    method = "GET" if body is None else "POST"
    try:
        async with client.stream(method, url, headers=dict(headers), json=body, follow_redirects=False) as answer:
            if answer.status_code != 200:
                return None
            async for part in answer.aiter_raw():
                data += part
                if len(data) > ANSWER_MAX_BYTES:
                    return None
    except httpx2.HTTPError:
        return None
    decoded = decoded_object(bytes(data))
    return None if isinstance(decoded, str) else decoded


def _of_props(answer: Mapping[str, object], model: str) -> int | None:
    del model
    return as_count(as_object(answer.get("default_generation_settings")).get("n_ctx"))


def _of_loaded(answer: Mapping[str, object], model: str) -> int | None:
    return as_count(_named(answer.get("data"), "id", model).get("loaded_context_length"))


def _of_running(answer: Mapping[str, object], model: str) -> int | None:
    return as_count(_named(answer.get("models"), "model", model).get("context_length"))


def _of_parameters(answer: Mapping[str, object], model: str) -> int | None:
    del model
    said = answer.get("parameters")
    given = _NUM_CTX.search(said) if isinstance(said, str) else None
    return None if given is None else int(given[1])


def _of_value(answer: Mapping[str, object], model: str) -> int | None:
    del model
    return as_count(answer.get("value"))


_READERS: Final = (_of_props, _of_loaded, _of_running, _of_parameters, _of_value)
"""In the order they are believed: what runs before what is written down."""


def _named(listed: object, member: str, name: str) -> Mapping[str, object]:
    """Return the object of a list whose member is the name, ``:latest`` or not; an empty one where none is."""
    entries = [as_object(each) for each in cast("list[object]", listed)] if isinstance(listed, list) else []
    wanted = {name, f"{name}:latest"}
    none: Mapping[str, object] = {}
    return next((entry for entry in entries if entry.get(member) in wanted), none)
