"""llama.cpp's own HTTP server over one GGUF file, as a process of its own.

Run as ``python -I llama_server.py`` with a JSON object on stdin (``path``: directories to import from, ``file``,
``alias``, ``slots``, ``context_tokens`` of one slot, ``threads``, ``api_key``). Once the model is loaded one line goes
to stdout, the server's base URL on 127.0.0.1; then it serves until it is killed. Nothing of ours is imported.
"""

import json
import os
import signal
import sys
from importlib import import_module
from typing import TypedDict, cast

__all__ = ["Order", "main"]


class Order(TypedDict):
    """What to serve."""

    path: list[str]
    file: str
    alias: str
    slots: int
    context_tokens: int
    threads: int
    api_key: str


def main() -> None:
    """Load the model, say where it is served, and serve."""
    order = cast("Order", json.load(sys.stdin))
    # The URL is the only word on the real stdout, whatever the library prints; logs must never make it wait.
    answer = os.dup(1)
    os.dup2(2, 1)
    os.set_blocking(2, False)
    sys.path.extend(order["path"])
    xllamacpp = import_module("xllamacpp")

    params = xllamacpp.CommonParams()
    params.model.path = order["file"]
    params.model_alias = {order["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # Without a key any page in a browser on this machine could use the server.
    params.api_keys = [order["api_key"]]
    params.ui = False
    params.endpoint_slots = False
    params.offline = True
    params.verbosity = 1
    params.n_parallel = order["slots"]
    params.n_ctx = order["context_tokens"] * order["slots"]
    # Threads beyond the free cores wait for each other: on two busy cores 4-7 tokens/s instead of 77-99.
    params.cpuparams.n_threads = order["threads"]
    params.cpuparams_batch.n_threads = order["threads"]
    server = xllamacpp.Server(params)
    os.write(answer, f"{server.listening_address}\n".encode())
    os.close(answer)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
