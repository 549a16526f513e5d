"""What was sent on each stream, in memory: the suite looks at streams that are taken up again, a part we leave out."""

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import JSONRPCMessage

__all__ = ["Events"]


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
