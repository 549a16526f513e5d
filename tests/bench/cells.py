"""One figure each, measured in a process of its own: nothing is warm but what the operation itself warms.

``python -m tests.bench.cells NAME PLACE SIZE`` prints one JSON object. Times: ``cpu`` is this process's CPU time, user
and system; ``wall`` is what a caller waits. Seconds, unless a name says otherwise.
"""

import json
import resource
import sqlite3
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.lowlevel

from forum_mcp.ledger.entry import Draft, commitment, decode, leaf_hash
from forum_mcp.stores.base import Transaction
from tests.bench import workload
from tests.bench.peer import open_peer
from tests.bench.workload import draft, payload

if TYPE_CHECKING:
    from forum_mcp.engine.ledger import Ledger

__all__ = ["CELLS", "ROUND"]

T = TypeVar("T")
Figures = dict[str, float]

_APPENDS: Final = 1_500
_WRITERS: Final = 64
_EACH: Final = 40
_TIMES: Final = 200
ROUND: Final = 10_000_000
"""What is added to the size in each further round, so that its entries are its own."""


def _ledger(place: Path) -> Path:
    return place / "ours" / "ledger.db"


def _peer_place(place: Path, store: str) -> Path:
    return place / f"peer-{store}" / ("ledger.db" if store == "sqlite" else "")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(place: Path, size: int) -> Figures:
    """Fill every ledger to the size."""
    workload.fill(_ledger(place), [(store, _peer_place(place, store)) for store in ("file", "sqlite")], size)
    return {}


def verify_ours(place: Path, size: int) -> Figures:
    """Verify everything, bodies and checkpoints included, from the disk."""
    from forum_mcp.engine.verifying import verify_path

    started, waited = process_time(), perf_counter()
    view = verify_path(_ledger(place), 3)
    cpu, wall = process_time() - started, perf_counter() - waited
    assert view.clean, view.findings
    assert view.size >= size % ROUND
    return {"cpu": cpu, "wall": wall, "peak_mb": _peak_mb()}


def _verify_peer(place: Path, store: str) -> Figures:
    started, waited = process_time(), perf_counter()
    ledger, _ = open_peer(store, _peer_place(place, store))
    assert ledger.verify(deep=True)
    return {"cpu": process_time() - started, "wall": perf_counter() - waited, "peak_mb": _peak_mb()}


def append_ours(place: Path, size: int) -> Figures:
    """Append entries one by one, each durable before the next."""
    from forum_mcp.engine.ledger import Ledger

    with Ledger.open(_ledger(place)) as ledger:
        store = ledger.store

        def one(entry: Draft) -> None:
            store.transact(partial(_append, entry))

        return _each(one, [draft(number) for number in _new(size, _APPENDS)])


def _append_peer(place: Path, size: int, store: str) -> Figures:
    ledger, _ = open_peer(store, _peer_place(place, store))
    return _each(
        lambda made: ledger.append(actor="model", kind="result", payload=made),
        [payload(number) for number in _new(size, _APPENDS)],
    )


def _append(entry: Draft, transaction: Transaction) -> None:
    transaction.append(entry, run=None, at_us=1)


def _new(size: int, count: int, series: int = 1) -> range:
    """Return numbers whose entries no ledger has; ``size`` tells the rounds apart."""
    first = series * 10**9 + size
    return range(first, first + count)


def parts_ours(place: Path, size: int) -> Figures:
    """What the stages of a full verification cost each on its own, microseconds of CPU for an entry."""
    from forum_mcp.ledger.faultless import faultless_each
    from forum_mcp.ledger.merkle import Frontier
    from forum_mcp.ledger.verify import verify
    from forum_mcp.ledger.verify.source import PAGE_ENTRIES
    from forum_mcp.stores.source import open_source

    with open_source(_ledger(place)) as source:
        raws = [item[1] for item in source.entries() if isinstance(item, tuple)]
        plain = [item for item in source.bodies() if isinstance(item, tuple)]
        leaves = list(map(leaf_hash, raws))
        stages: dict[str, Callable[[], object]] = {
            "reading entries": lambda: deque(source.entries(), maxlen=0),
            "decoding an entry": lambda: deque(map(decode, raws), maxlen=0),
            "decoding, re-encoding and checking its members": lambda: deque(
                (faultless_each(raws[start : start + PAGE_ENTRIES]) for start in range(0, len(raws), PAGE_ENTRIES)),
                maxlen=0,
            ),
            "the same, with leaf hash, columns and marks": lambda: deque(source.pages(), maxlen=0),
            "tree": lambda: Frontier().extend(leaves),
            "index of runs and the file's own check": lambda: deque(source.faults(), maxlen=0),
            "reading and unpacking bodies, with their index keys": lambda: deque(source.bodies(), maxlen=0),
            "commitments": lambda: [commitment(salt, kind, data or b"") for _, kind, salt, data in plain],
            "indexes of bodies": lambda: deque(source.index_faults(), maxlen=0),
            "level 1": lambda: verify(source, level=1),
            "level 2": lambda: verify(source, level=2),
            "level 3": lambda: verify(source, level=3),
        }
        found: Figures = {}
        for name, stage in stages.items():
            started = process_time()
            stage()
            found[name] = (process_time() - started) / len(raws) * 1e6
    return found


def append_bare(place: Path, size: int) -> Figures:
    """The least a durable append can cost here: one row of an entry and its body, committed as SQLite's WAL does."""
    assert size
    connection = sqlite3.connect(place / "floor.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE IF NOT EXISTS rows (raw BLOB)")
    figures = _each(lambda raw: connection.execute("INSERT INTO rows VALUES (?)", (raw,)), [bytes(1_000)] * _APPENDS)
    connection.close()
    return figures


def _each(append: Callable[[T], object], made: Sequence[T]) -> Figures:
    for one in made[:20]:
        append(one)
    started, waited = process_time(), perf_counter()
    for one in made[20:]:
        append(one)
    wall, cpu, count = perf_counter() - waited, process_time() - started, len(made) - 20
    return {"cpu_us": cpu / count * 1e6, "wall_us": wall / count * 1e6}


def writers_ours(place: Path, size: int) -> Figures:
    """Append from 64 tasks of one process at once, as runs do."""
    from forum_mcp.engine.ledger import Ledger
    from forum_mcp.engine.recorder import Recorder

    async def write(recorder: Recorder, made: list[Draft]) -> None:
        for entry in made:
            await recorder.record(partial(_append, entry))

    each = _EACH * 10
    work = [[draft(number) for number in _new(size, each, 100 + writer)] for writer in range(_WRITERS)]

    async def all_of_them() -> float:
        with Ledger.open(_ledger(place)) as ledger:
            recorder = Recorder(ledger.store)
            started = perf_counter()
            async with anyio.create_task_group() as group:
                for made in work:
                    group.start_soon(write, recorder, made)
            return perf_counter() - started

    return {"per_s": _WRITERS * each / anyio.run(all_of_them)}


def _writers_peer(place: Path, size: int, store: str) -> Figures:
    ledger, _ = open_peer(store, _peer_place(place, store))

    work = [[payload(number) for number in _new(size, _EACH, 100 + writer)] for writer in range(_WRITERS)]

    async def write(made: list[dict[str, object]]) -> None:
        for one in made:
            ledger.append(actor="model", kind="result", payload=one)
            await anyio.lowlevel.checkpoint()

    async def all_of_them() -> float:
        started = perf_counter()
        async with anyio.create_task_group() as group:
            for made in work:
                group.start_soon(write, made)
        return perf_counter() - started

    return {"per_s": _WRITERS * _EACH / anyio.run(all_of_them)}


def head_ours(place: Path, size: int) -> Figures:
    """Root after an append, signed note after an append, and proofs."""
    from forum_mcp.engine.ledger import Ledger

    with Ledger.open(_ledger(place)) as ledger:
        figures, random = _head(ledger, size), Random(1)
        seqs = [random.randrange(size % ROUND) for _ in range(_TIMES)]
        started = perf_counter()
        for seq in seqs:
            ledger.inclusion_proof(seq)
        return {**figures, "proof_ms": (perf_counter() - started) / _TIMES * 1e3}


def head_memory(size: int) -> Figures:
    """Root and signed note after an append that waits for no disk: our own work, with the caches as it leaves them."""
    from forum_mcp.engine.ledger import Ledger

    with Ledger.open(":memory:") as ledger:
        return _head(ledger, size)


def _head(ledger: "Ledger", size: int) -> Figures:
    roots = signatures = 0.0
    store, fresh = ledger.store, iter([draft(number) for number in _new(size, 2 * _TIMES, 2)])
    for _ in range(_TIMES):
        store.transact(partial(_append, next(fresh)))
        started = process_time()
        ledger.root()
        roots += process_time() - started
        store.transact(partial(_append, next(fresh)))
        started = process_time()
        ledger.checkpoint()
        signatures += process_time() - started
    return {"root_us": roots / _TIMES * 1e6, "signed_us": signatures / _TIMES * 1e6}


def parts_head(place: Path, size: int) -> Figures:
    """What a signature after an append is made of, microseconds of CPU; an append's commit leaves all caches cold."""
    from forum_mcp.engine.ledger import Ledger
    from forum_mcp.ledger.note import Pen, Signer, sign
    from forum_mcp.stores.signed import Remembered, SignedFile

    fresh = iter([draft(number) for number in _new(size, 4 * _TIMES, 3)])
    memory, sizes = SignedFile(place / "ours" / "keys" / "bench.signed"), iter(range(_TIMES))
    pen = Pen(Signer("bench", bytes(32)))

    def remember() -> None:
        with memory.hold() as held:
            held.remember(Remembered(next(sizes), bytes(32)), durable=False)

    with Ledger.open(_ledger(place)) as ledger:
        stages: dict[str, Callable[[], object]] = {
            "nothing: what measuring costs": lambda: None,
            "asking SQLite whether another process has committed": ledger.store.change_token,
            "the signer's memory: lock, look, read, write, unlock": remember,
            "Ed25519": lambda: sign("bench\n1\n", pen),
        }
        found: Figures = {}
        for name, stage in stages.items():
            total = 0.0
            for _ in range(_TIMES):
                ledger.store.transact(partial(_append, next(fresh)))
                started = process_time()
                stage()
                total += process_time() - started
            found[name] = total / _TIMES * 1e6
    memory.close()
    return found


def _head_peer(place: Path, store: str) -> Figures:
    ledger, _ = open_peer(store, _peer_place(place, store))
    started = process_time()
    for _ in range(3):
        ledger.checkpoint()
    return {"root_us": (process_time() - started) / 3 * 1e6}


def open_ours(place: Path, size: int) -> Figures:
    """Open the ledger, the first time in this process."""
    from forum_mcp.engine.ledger import Ledger

    started = perf_counter()
    with Ledger.open(_ledger(place), create=False) as ledger:
        ms = (perf_counter() - started) * 1e3
        assert ledger.size >= size % ROUND
    return {"ms": ms}


def _open_peer(place: Path, store: str) -> Figures:
    started = perf_counter()
    open_peer(store, _peer_place(place, store))
    return {"ms": (perf_counter() - started) * 1e3}


def runs_ours(place: Path, size: int) -> Figures:
    """A run of one task whose model answers at once: all that is left is ours; then its status, asked for again."""
    from forum_mcp.configs.settings import RoleSettings, Settings
    from forum_mcp.engine.orchestrator import Orchestrator
    from forum_mcp.executors.scripted import ScriptedExecutor

    assert size

    async def play() -> Figures:
        settings = Settings(ledger=str(_ledger(place)), roles=RoleSettings(worker=["script"]))
        async with Orchestrator.open(settings, executors={"script": ScriptedExecutor(lambda _: "done")}) as forum:
            view = await forum.submit("Write the first", single=True)
            started = process_time()
            for number in range(20):
                view = await forum.submit(f"Write number {number}", single=True)
                assert view.state == "succeeded"
            submit = (process_time() - started) / 20
            started = process_time()
            for _ in range(_TIMES):
                await forum.run(view.run_id)
            return {"submit_ms": submit * 1e3, "status_ms": (process_time() - started) / _TIMES * 1e3}

    return anyio.run(play)


def disk(place: Path, size: int) -> Figures:
    """Bytes on disk, and of the bodies as zstandard alone would pack each."""
    import zstandard

    from tests.bench.workload import body

    packer = zstandard.ZstdCompressor(level=3)
    sample = range(0, size, max(1, size // 2_000))
    packed = sum(min(len(body(number)), len(packer.compress(body(number)))) for number in sample) / len(sample)
    found = {"packed_body": packed, "plain_body": sum(len(body(number)) for number in sample) / len(sample)}
    for name in ("ours", "peer-file", "peer-sqlite"):
        found[name] = sum(file.stat().st_size for file in (place / name).rglob("*") if file.is_file()) / size
    return found


CELLS: Final[dict[str, Callable[[Path, int], Figures]]] = {
    "fill": fill,
    "disk": disk,
    "open_ours": open_ours,
    "open_file": lambda place, _: _open_peer(place, "file"),
    "open_sqlite": lambda place, _: _open_peer(place, "sqlite"),
    "verify_ours": verify_ours,
    "verify_file": lambda place, _: _verify_peer(place, "file"),
    "verify_sqlite": lambda place, _: _verify_peer(place, "sqlite"),
    "parts_ours": parts_ours,
    "append_bare": append_bare,
    "append_ours": append_ours,
    "append_file": lambda place, size: _append_peer(place, size, "file"),
    "append_sqlite": lambda place, size: _append_peer(place, size, "sqlite"),
    "writers_ours": writers_ours,
    "writers_file": lambda place, size: _writers_peer(place, size, "file"),
    "writers_sqlite": lambda place, size: _writers_peer(place, size, "sqlite"),
    "head_ours": head_ours,
    "head_memory": lambda _, size: head_memory(size),
    "parts_head": parts_head,
    "head_file": lambda place, _: _head_peer(place, "file"),
    "runs_ours": runs_ours,
}
"""In the order in which they are run: what changes the ledgers comes after what measures them as filled."""


if __name__ == "__main__":
    print(json.dumps(CELLS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
