"""Places that clients share: whoever comes gets one, as long as somebody has two more."""

from contextlib import ExitStack

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forum_mcp.server.seats import Seats

MOST = 4


@pytest.mark.parametrize(
    ("holders", "who", "given"),
    [
        ("", "a", True),
        ("aaa", "a", True),
        ("aaaa", "a", False),
        ("aaaa", "b", True),
        ("aaab", "b", True),
        ("aabb", "b", False),
        ("aabb", "c", True),
        ("aabc", "b", False),
        ("abcd", "e", False),
    ],
)
async def test_a_full_house_makes_room_for_whoever_has_two_fewer(holders: str, who: str, given: bool) -> None:
    seats = Seats(MOST)
    with ExitStack() as stack:
        for holder in holders:
            assert stack.enter_context(seats.seat(holder))
        before = {each: seats.held(each) for each in "abcde"}
        with seats.seat(who) as seated:
            assert seated == given
            assert seats.held(who) == before[who] + given
            assert sum(seats.held(each) for each in "abcde") <= MOST
    assert not any(seats.held(each) for each in "abcde")


async def test_who_gives_a_place_up_goes_on_after_it_and_the_newest_goes_first() -> None:
    seats, gone, done = Seats(MOST), list[int](), anyio.Event()

    async def sit(number: int) -> None:
        with seats.seat("a") as seated:
            assert seated
            await anyio.sleep_forever()
        gone.append(number)
        done.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for number in range(MOST):
                group.start_soon(sit, number)
            await anyio.wait_all_tasks_blocked()
            with seats.seat("b") as seated:
                await done.wait()
                assert (seated, gone) == (True, [MOST - 1])
            group.cancel_scope.cancel()


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_however_they_come_nobody_goes_without_while_another_has_two_more(order: list[str]) -> None:
    seats = Seats(MOST)

    async def come() -> None:
        with ExitStack() as stack:
            for who in order:
                seated = stack.enter_context(seats.seat(who))
                held = {each: seats.held(each) for each in "abc"}
                assert sum(held.values()) <= MOST
                assert seated or max(held.values()) < held[who] + 2

    anyio.run(come)
