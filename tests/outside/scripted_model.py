"""A model endpoint for agent programs on 127.0.0.1: chat completions, Responses, Messages and generateContent.

It asks for its tools one after the other where the program offers them, and then answers with what the last one said;
without tools it answers at once. Every program gets its reply in its own dialect, as events or in one piece.
"""

import json
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, cast

__all__ = ["ANSWER", "TOKENS_IN", "TOKENS_OUT", "ToolCall", "scripted_model"]

ANSWER = "scripted answer"
TOKENS_IN, TOKENS_OUT = 10, 5
Json = dict[str, Any]


class ToolCall(NamedTuple):
    """A tool to ask for."""

    tool: str
    arguments: Mapping[str, object]


def text_of(results: list[object]) -> str:
    """Return the answer that quotes what the last tool said, or the plain one when none was asked."""
    return f"{ANSWER}: {json.dumps(results[-1])}" if results else ANSWER


class Handler(BaseHTTPRequestHandler):
    """Answers one request; what to ask for, and where to keep what came of it, is set by ``scripted_model``."""

    protocol_version = "HTTP/1.1"
    calls: Sequence[ToolCall] = ()
    shown: list[object]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.whole({})

    def do_GET(self) -> None:
        self.whole({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def do_POST(self) -> None:
        asked: Json = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.split("?")[0]
        if path.endswith("/chat/completions"):
            self.chat(asked)
        elif path.endswith("/responses"):
            self.openai(asked)
        elif path.endswith("/messages"):
            self.messages(asked)
        elif "enerateContent" in path:
            self.gemini(asked, path)
        else:
            self.whole({"input_tokens": TOKENS_IN, "totalTokens": TOKENS_IN})

    def whole(self, value: Json) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def events(self, *events: Json, done: str = "") -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in events:
            name = f"event: {event['type']}\n" if "type" in event else ""
            self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(done.encode())
        self.close_connection = True

    def wanted(self, offered: list[str], results: list[object]) -> ToolCall | None:
        """Return the tool to ask for next, given what the ones before said."""
        if len(results) > len(self.shown):
            self.shown[:] = results
        following = self.calls[len(results) :]
        return following[0] if following and following[0].tool in offered else None

    def chat(self, asked: Json) -> None:
        results = [m.get("content") for m in asked.get("messages", []) if m.get("role") == "tool"]
        tools: list[Json] = asked.get("tools") or []
        offered = [tool["function"]["name"] for tool in tools]
        base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
        message: Json = {"role": "assistant", "content": text_of(results)}
        finish = "stop"
        if (call := self.wanted(offered, results)) is not None:
            function = {"name": call.tool, "arguments": json.dumps(call.arguments)}
            message = {
                "role": "assistant",
                "tool_calls": [{"index": 0, "id": f"call{len(results)}", "type": "function", "function": function}],
            }
            finish = "tool_calls"
        choice = {"index": 0, "finish_reason": None}
        if not asked.get("stream"):
            self.whole({**base, "choices": [{**choice, "message": message, "finish_reason": finish}], "usage": usage})
            return
        self.events(
            {**base, "choices": [{**choice, "delta": message}]},
            {**base, "choices": [{**choice, "delta": {}, "finish_reason": finish}], "usage": usage},
            done="data: [DONE]\n\n",
        )

    def openai(self, asked: Json) -> None:
        given: object = asked.get("input")
        items: list[Json] = cast("list[Json]", given) if isinstance(given, list) else []
        results: list[object] = [item.get("output") for item in items if item.get("type") == "function_call_output"]
        part: Json = {"type": "output_text", "text": text_of(results), "annotations": []}
        item: Json = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [part]}
        tools: list[Json] = asked.get("tools") or []
        # Tools of a server stand in a namespace: mcp__forum, submit.
        inner = {f"{tool['name']}__{each['name']}": tool for tool in tools for each in tool.get("tools", ())}
        if (call := self.wanted(list(inner), results)) is not None:
            namespace = str(inner[call.tool]["name"])
            name = call.tool.removeprefix(f"{namespace}__")
            asks = {"name": name, "namespace": namespace, "arguments": json.dumps(call.arguments)}
            ids = {"id": f"f{len(results)}", "call_id": f"call{len(results)}"}
            item = {"type": "function_call", "status": "completed", **ids, **asks}
        usage = {
            "input_tokens": TOKENS_IN,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": TOKENS_OUT,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": TOKENS_IN + TOKENS_OUT,
        }
        base: Json = {"id": "r1", "object": "response", "created_at": 1, "model": asked["model"], "usage": usage}
        done: Json = {**base, "status": "completed", "output": [item]}
        self.events(
            {"type": "response.created", "response": {**base, "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": done},
        )

    def messages(self, asked: Json) -> None:
        blocks = [b for m in asked.get("messages", []) if isinstance(m["content"], list) for b in m["content"]]
        results = [block.get("content") for block in blocks if block.get("type") == "tool_result"]
        block: Json = {"type": "text", "text": text_of(results)}
        delta: Json = {"type": "text_delta", "text": block["text"]}
        opening: Json = {"type": "text", "text": ""}
        stop = "end_turn"
        tools: list[Json] = asked.get("tools") or []
        if (call := self.wanted([tool.get("name", "") for tool in tools], results)) is not None:
            block = {
                "type": "tool_use",
                "id": f"toolu_{len(results)}",
                "name": call.tool,
                "input": dict(call.arguments),
            }
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
            opening = {**block, "input": {}}
            stop = "tool_use"
        usage = {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT}
        message = {"id": "m1", "type": "message", "role": "assistant", "model": asked["model"], "usage": usage}
        if not asked.get("stream"):
            self.whole({**message, "content": [block], "stop_reason": stop})
            return
        self.events(
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": opening},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": TOKENS_OUT}},
            {"type": "message_stop"},
        )

    def gemini(self, asked: Json, path: str) -> None:
        del asked
        content = {"role": "model", "parts": [{"text": ANSWER}]}
        usage = {"promptTokenCount": TOKENS_IN, "candidatesTokenCount": TOKENS_OUT, "totalTokenCount": 15}
        reply = {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}
        if "stream" in path:
            self.events(reply)
        else:
            self.whole(reply)


@contextmanager
def scripted_model(*calls: ToolCall, shown: list[object] | None = None) -> Generator[str]:
    """Serve on a free port of 127.0.0.1; yields the URL. ``shown`` is given what the tools said."""
    handler = type("Scripted", (Handler,), {"calls": calls, "shown": [] if shown is None else shown})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()
