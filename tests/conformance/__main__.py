"""``python -m tests.conformance fixtures|product PORT LEDGER``: the server that the conformance suite is pointed at."""

import sys

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import JSONRPCMessage

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.app import build_server
from tests.conformance.pack import fixture_server


class Events(EventStore):
    """What was sent on each stream, so that a client may take it up again."""

    def __init__(self) -> None:
        self._sent: list[tuple[StreamId, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        number = int(last_event_id)
        stream = self._sent[number - 1][0]
        for event_id, (sent_on, message) in enumerate(self._sent[number:], number + 1):
            if sent_on == stream and message is not None:
                await send_callback(EventMessage(message, str(event_id)))
        return stream


def main(which: str, port: int, ledger: str) -> None:
    """Serve until killed."""
    settings = Settings(ledger=ledger)
    server = fixture_server(settings) if which == "fixtures" else build_server(lambda: Orchestrator.open(settings))
    server.run("streamable-http", host="127.0.0.1", port=port, event_store=Events(), retry_interval=100)


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
