"""Requests that are being answered, and how they end when the server does, or the token that they came with.

A stream of news never ends by itself, so it ends at once; a call may finish in the time that is left. Whatever is cut
off ends as HTTP says: a stream that was begun is closed whole, anything else is answered by 503.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import anyio
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["DRAIN_S", "Underway", "unavailable"]

DRAIN_S: Final = 1.5
"""Seconds that calls may still take once the end began."""


def unavailable() -> Response:
    """Return the answer to what is not served any more."""
    told = {"error": "draining", "error_description": "the server is shutting down; try again"}
    return JSONResponse(told, 503, {"connection": "close"})


class Underway:
    """What was handed on and is not answered yet."""

    def __init__(self) -> None:
        self._cuts: dict[anyio.CancelScope, bool] = {}
        self._hurried = anyio.Event()

    async def hand_on(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, endless: bool, until: float = math.inf
    ) -> None:
        """Have an application answer; ``endless`` tells a stream that does not end by itself.

        What goes on is cut off at ``until``, seconds, monotonic.
        """
        begun = ended = False

        async def sending(message: Message) -> None:
            nonlocal begun, ended
            begun = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope(deadline=until) as cut:
            self._cuts[cut] = endless
            try:
                await app(scope, receive, sending)
            finally:
                del self._cuts[cut]
        if not cut.cancelled_caught or ended:
            return
        if begun:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await unavailable()(scope, receive, send)

    async def drain(self) -> None:
        """End the endless at once, and the rest after ``DRAIN_S`` seconds or when hurried."""
        for cut, endless in list(self._cuts.items()):
            if endless:
                cut.cancel()
        with anyio.move_on_after(DRAIN_S):
            await self._hurried.wait()
        for cut in list(self._cuts):
            cut.cancel()

    def hurry(self) -> None:
        """End what is left now."""
        self._hurried.set()
