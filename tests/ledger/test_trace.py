import pytest
from msgspec import structs

from forum_mcp.ledger.entry import Entry, decode
from forum_mcp.ledger.trace import trace
from tests.ledger.building import SmallLedger


def ledger_of(*parents: tuple[int, ...]) -> list[Entry]:
    ledger = SmallLedger(opened=False)
    for causes in parents:
        ledger.append("test.happened", parents=causes)
    return [decode(raw) for raw in ledger.raws]


def test_a_trace_gives_every_ancestor_once_newest_first_with_its_distance() -> None:
    entries = ledger_of((), (0,), (0,), (1, 2), (), (0, 3))
    found = trace(5, entries.__getitem__, 100)
    assert [(depth, entry.seq) for depth, entry in found] == [(0, 5), (1, 3), (2, 2), (2, 1), (1, 0)]


def test_a_trace_stops_at_its_limit_and_fetches_no_more() -> None:
    entries = ledger_of(*((seq - 1,) if seq else () for seq in range(50)))
    fetched: list[int] = []

    def fetch(seq: int) -> Entry:
        fetched.append(seq)
        return entries[seq]

    assert [entry.seq for _, entry in trace(49, fetch, 3)] == [49, 48, 47]
    assert fetched == [49, 48, 47]
    assert trace(49, fetch, 0) == []


def test_a_damaged_parent_that_is_not_older_is_not_followed() -> None:
    entries = ledger_of((), (0,))
    looped = structs.replace(entries[1], parents=[-1, 1, 7])
    assert [entry.seq for _, entry in trace(1, [entries[0], looped].__getitem__, 10)] == [1]


def test_what_fetching_raises_passes_through() -> None:
    with pytest.raises(IndexError):
        trace(3, ledger_of(()).__getitem__, 10)
