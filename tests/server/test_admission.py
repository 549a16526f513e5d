"""Which message's turn it is: order, bounds, and cancellations that overtake."""

from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

from forum_mcp.server import admission
from forum_mcp.server.admission import Admission


def request(number: int | str) -> SessionMessage:
    return SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method="m"))


def note(method: str = "notifications/x", **params: Any) -> SessionMessage:
    return SessionMessage(JSONRPCNotification(jsonrpc="2.0", method=method, params=params))


def cancel(number: int | str) -> SessionMessage:
    return note("notifications/cancelled", requestId=number)


async def given(door: Admission) -> list[object]:
    """Return what has its turn now, by id or method."""
    found: list[object] = []
    with anyio.move_on_after(0.02):
        while True:
            message = (await door.next()).message
            found.append(getattr(message, "id", None) or getattr(message, "method", None))
    return found


async def test_messages_keep_their_order() -> None:
    door = Admission()
    for message in (request(1), note(), request("two"), note()):
        assert door.offer(message, 10)
    assert await given(door) == [1, "notifications/x", "two", "notifications/x"]
    assert not door.idle
    door.settle(1)
    door.settle("two")
    door.settle("two")
    assert door.idle


async def test_a_request_waits_for_its_turn_and_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "IN_FLIGHT_MAX", 2)
    door = Admission()
    for number in (1, 2, 3, 4):
        assert door.offer(request(number), 10)
    assert await given(door) == [1, 2]
    door.settle(1)
    assert await given(door) == [3]
    for number in (2, 3):
        door.settle(number)
    assert await given(door) == [4]


async def test_what_would_be_one_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "WAITING_MAX", 2)
    door = Admission()
    assert [door.offer(request(number), 10) for number in (1, 2, 3)] == [True, True, False]
    assert await given(door) == [1, 2]
    assert door.offer(request(3), admission.WAITING_BYTES_MAX)
    assert not door.offer(request(4), 1), "bytes are bounded too"
    assert await given(door) == [3]
    assert door.offer(request(4), 1)


async def test_a_cancellation_overtakes_and_frees_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "IN_FLIGHT_MAX", 1)
    door = Admission()
    for message in (request(1), request(2), request(3)):
        door.offer(message, 10)
    assert await given(door) == [1]
    assert door.offer(cancel(2), 10)
    assert await given(door) == [], "what had not begun is dropped, and nobody is told"
    assert door.offer(cancel(1), 10)
    assert await given(door) == ["notifications/cancelled", 3]


async def test_a_cancellation_of_nothing_goes_nowhere() -> None:
    door = Admission()
    for _ in range(5_000):
        assert door.offer(cancel("gone"), 10)
    assert door.offer(note("notifications/cancelled"), 10)
    assert await given(door) == []
    assert door.idle


async def test_two_requests_of_one_id_are_two() -> None:
    door = Admission()
    door.offer(request(1), 10)
    door.offer(request(1), 10)
    assert await given(door) == [1, 1]
    door.settle(1)
    assert not door.idle
    door.settle(1)
    assert door.idle
