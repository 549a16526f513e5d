"""Runs rewritten by somebody who can append: folding never raises, so one forged run keeps nobody from the others."""

import json
import random
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.learning import learned
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.quoting import quote, wanted
from forum_mcp.engine.run_views import run_line, run_view
from forum_mcp.engine.summary import summarize
from forum_mcp.ledger.entry import Draft, Entry, NewBody, RunId
from forum_mcp.resources.report import report_of
from forum_mcp.stores.base import Transaction
from forum_mcp.stores.sqlite import SqliteStore
from tests.golden.make import HERE, name

NESTED: Final = b"[" * 100_000
DEEP_PLAN: Final = b'{"tasks": [{"id": "a", "lane": "backend", "instruction": "x", "schema": %s1%s}]}' % (
    b'{"a": ' * 5_000,
    b"}" * 5_000,
)
HOSTILE: Final = (b"", b"[]", b"\xff\xfe", NESTED, DEEP_PLAN)
VALUES: Final[tuple[object, ...]] = (0, -1, 2**53 - 1, -(2**53 - 1), "", "a", None, True, [], {}, ["a"], {"a": 1})
REFERENCES: Final = ("call", "gate", "found")
"""Members of an entry's data that are the seq of another entry."""


class Copied:
    """An entry of a run, free to be changed before it is appended again."""

    def __init__(self, ledger: Ledger, entry: Entry) -> None:
        self.seq, self.kind, self.actor, self.at, self.parents = (
            entry.seq, entry.kind, entry.actor, entry.at, entry.parents,
        )  # fmt: skip
        self.data = dict(entry.data)
        self.bodies = {name: NewBody(ref.type, ledger.body(ref.commit).data) for name, ref in entry.bodies.items()}

    def draft(self, placed: dict[int, int]) -> Draft:
        """Return the entry to append; ``placed``: where the entries before it stand now."""

        def follow(key: str, value: object) -> object:
            return placed.get(value, value) if key in REFERENCES and type(value) is int else value

        parents = tuple(sorted({placed[parent] for parent in self.parents if parent in placed}))
        return Draft(self.kind, self.actor, {k: follow(k, v) for k, v in self.data.items()}, self.bodies, parents)


Runs = dict[RunId, list[Copied]]


def golden_runs(directory: Path) -> Runs:
    """Return the entries of every run of the golden ledger."""
    with Ledger.open(shutil.copyfile(HERE / name(), directory / "golden.db"), read_only=True) as ledger:
        return {
            row.run: [Copied(ledger, stored.entry) for stored in ledger.store.run_entries(row.run)]
            for row in ledger.store.runs(100)
        }


@contextmanager
def appended(runs: Runs) -> Generator[Ledger]:
    """Open a ledger of our own with these entries, whose references follow them to their new places."""

    def work(tx: Transaction) -> None:
        for run, entries in runs.items():
            placed: dict[int, int] = {}
            for each in entries:
                placed[each.seq] = tx.append(each.draft(placed), run=run, at_us=each.at).entry.seq

    with Ledger.open(":memory:") as ledger:
        assert isinstance(ledger.store, SqliteStore)
        ledger.store.transact(work)
        yield ledger


def read_everything(ledger: Ledger) -> None:
    """Read a ledger in every way a run is read."""
    ledger.verify(level=4)
    for until in range(0, ledger.size, 5):
        ledger.replay(until)
    json.dumps([learned(ledger.store).to_dict(), summarize(ledger, verify=False).to_dict()])
    for row in ledger.store.runs(100):
        state = fold_run(ledger.store, row.run)
        view = run_view(ledger.store, state, live=False, checkpoint=None)
        told = [
            view,
            run_line(state, live=False),
            quote(ledger.store, wanted(state)),
            summarize(ledger, row.run, verify=False),
        ]
        json.dumps([each.to_dict() for each in told]).encode()
        report_of(view)


@pytest.mark.parametrize("data", [None, *HOSTILE], ids=lambda data: repr(data)[:12])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("run.started", "contract"),
        ("run.started", "roster"),
        ("run.started", "plan"),
        ("plan.accepted", "plan"),
        ("context.provided", "text"),
        ("answer.intent", "missing"),
        ("gate.opened", "subject"),
    ],
)
def test_a_body_that_cannot_be_read_stops_no_reader(tmp_path: Path, kind: str, body: str, data: bytes | None) -> None:
    runs = golden_runs(tmp_path)
    forged = next(run for run, entries in runs.items() for each in entries if each.kind == kind and body in each.bodies)
    entry = next(each for each in runs[forged] if each.kind == kind and body in each.bodies)
    if data is None:
        del entry.bodies[body]
    else:
        entry.bodies[body] = NewBody(entry.bodies[body].type, data)
    other = next(run for run in runs if run != forged)
    with appended({run: runs[run] for run in (forged, other)}) as ledger:
        read_everything(ledger)
        assert {view.run_id for view in ledger.replay().runs} == {forged, other}


def scrambled(runs: Runs, rng: random.Random) -> Runs:
    """Return two runs with entries lost, doubled, swapped, taken from elsewhere, and members and bodies changed."""
    chosen = {run: runs[run] for run in rng.sample(sorted(runs), 2)}
    others = [each for entries in runs.values() for each in entries]
    for entries in chosen.values():
        for _ in range(rng.choice((1, 2, 5))):
            at, other = rng.randrange(len(entries)), rng.randrange(len(entries))
            match rng.randrange(6):
                case 0 if len(entries) > 1:
                    del entries[at]
                case 1:
                    entries.insert(other, entries[at])
                case 2:
                    entries[at], entries[other] = entries[other], entries[at]
                case 3:
                    entries.insert(at, rng.choice(others))
                case 4 if entries[at].data:
                    entries[at].data[rng.choice(sorted(entries[at].data))] = rng.choice(VALUES)
                case _ if entries[at].bodies:
                    body = rng.choice(sorted(entries[at].bodies))
                    entries[at].bodies[body] = NewBody(entries[at].bodies[body].type, rng.choice(HOSTILE))
                case _:
                    pass
    return chosen


@pytest.mark.parametrize("seed", range(25))
def test_a_scrambled_run_stops_no_reader(tmp_path: Path, seed: int) -> None:
    with appended(scrambled(golden_runs(tmp_path), random.Random(seed))) as ledger:
        read_everything(ledger)
