"""A process that ends itself, as ``kill -9`` would, at the n-th step it takes towards the disk.

usage: stepper.py STEP LEDGER
A step is a file operation of Python (open, link, rename, remove, mkdir, fsync) or a statement handed to SQLite; each
is counted before it happens. Each line on stdout is a promise. With STEP 0 it goes through and says how many it took.
"""

import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

last, path = int(sys.argv[1]), Path(sys.argv[2])
WATCHED = {"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.truncate", "sqlite3.connect"}
counted = 0
counting = False


def step(*_: object) -> None:
    """Count one step, and end everything when it is the last."""
    global counted
    if counting:
        counted += 1
        if counted == last:
            os._exit(9)


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Take what the interpreter tells of itself."""
    if event in WATCHED:
        step()


def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
    """Open a database whose statements are steps."""
    connection: sqlite3.Connection = real_connect(*arguments, **options)
    connection.set_trace_callback(step)
    return connection


def promise(words: str) -> None:
    """Tell the test what holds from now on."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


from forum_mcp.engine.custody import rotate_key  # noqa: E402 - the steps are those of the work, not of imports
from forum_mcp.engine.ledger import Ledger  # noqa: E402
from forum_mcp.engine.redaction import redact_commit  # noqa: E402

real_fsync, real_connect = os.fsync, sqlite3.connect


def fsync(handle: int) -> None:
    """Count a sync before it is made."""
    step()
    real_fsync(handle)


os.fsync = fsync  # type: ignore[assignment]
sqlite3.connect = connect  # type: ignore[assignment]
sys.addaudithook(watch)

with Ledger.open(":memory:") as warm:  # what is imported on first use is imported now
    rotate_key(warm)
    warm.verify()
    redact_commit(warm, str(warm.append("x.noted", actor="t", bodies={"b": "w"}).bodies["b"]["commit"]), "x", yes=True)
counting = True
with Ledger.open(path, checkpoint_every=3) as ledger:
    promise(f"size {ledger.size}")
    entry = ledger.append("x.noted", actor="test", bodies={"b": "first"})
    for n in range(3):
        entry = ledger.append("x.noted", actor="test", data={"n": n}, bodies={"b": f"word {n}"})
        promise(f"size {entry.seq + 1}")
    body = str(entry.bodies["b"]["commit"])
    promise(f"signed {ledger.checkpoint().splitlines()[1]}")
    rotate_key(ledger)
    promise(f"size {ledger.size}")
    redact_commit(ledger, body, "asked", yes=True)
    promise(f"size {ledger.size}")
    promise(f"gone {body}")
counting = False
print(f"steps {counted}")
