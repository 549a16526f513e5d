"""A model endpoint for agent programs on 127.0.0.1: chat completions, Responses, Messages and generateContent.

It asks for one tool where the program offers it, and then answers with what the tool said; without the tool it answers
at once. Every program gets its reply in its own dialect, as events or in one piece.
"""

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["ANSWER", "TOKENS_IN", "TOKENS_OUT", "scripted_model"]

ANSWER = "scripted answer"
TOKENS_IN, TOKENS_OUT = 10, 5
Json = dict[str, Any]


def text_of(result: object) -> str:
    """Return the answer that quotes what a tool said, or the plain one when none was asked."""
    return ANSWER if result is None else f"{ANSWER}: {json.dumps(result)}"


class Handler(BaseHTTPRequestHandler):
    """Answers one request; ``tool`` and ``arguments`` are set by ``scripted_model``."""

    protocol_version = "HTTP/1.1"
    tool = ""
    arguments: Mapping[str, object] = {}

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

    def wanted(self, offered: list[str], result: object) -> bool:
        return bool(self.tool) and self.tool in offered and result is None

    def chat(self, asked: Json) -> None:
        result = next((m.get("content") for m in asked.get("messages", []) if m.get("role") == "tool"), None)
        tools: list[Json] = asked.get("tools") or []
        offered = [tool["function"]["name"] for tool in tools]
        base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
        message: Json = {"role": "assistant", "content": text_of(result)}
        finish = "stop"
        if self.wanted(offered, result):
            function = {"name": self.tool, "arguments": json.dumps(self.arguments)}
            message = {
                "role": "assistant",
                "tool_calls": [{"index": 0, "id": "1", "type": "function", "function": function}],
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
        part: Json = {"type": "output_text", "text": ANSWER, "annotations": []}
        item: Json = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [part]}
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
        result = next((block.get("content") for block in blocks if block.get("type") == "tool_result"), None)
        block: Json = {"type": "text", "text": text_of(result)}
        delta: Json = {"type": "text_delta", "text": block["text"]}
        opening: Json = {"type": "text", "text": ""}
        stop = "end_turn"
        tools: list[Json] = asked.get("tools") or []
        if self.wanted([tool.get("name", "") for tool in tools], result):
            block = {"type": "tool_use", "id": "toolu_1", "name": self.tool, "input": dict(self.arguments)}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(self.arguments)}
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
def scripted_model(tool: str = "", arguments: Mapping[str, object] | None = None) -> Generator[str]:
    """Serve on a free port of 127.0.0.1; yields the URL. ``tool``: the name of the tool that is asked for."""
    handler = type("Scripted", (Handler,), {"tool": tool, "arguments": arguments or {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()
