"""A process in which eight writers append to one ledger and sign; killed from outside by ``test_eight_writers``.

usage: writers.py LEDGER NAME
Each line on stdout is a promise: seq and leaf of an entry that was appended.
"""

import sys
from threading import Thread

from forum_mcp.engine.ledger import Ledger

WRITERS = 8
path, name = sys.argv[1], sys.argv[2]


def write(ledger: Ledger, writer: int) -> None:
    """Append until the process ends."""
    n = 0
    while True:
        actor, note = f"writer:{name}.{writer}", f"{writer} {n}\u2028" * (n % 50)
        entry = ledger.append("soak.noted", actor=actor, data={"n": n}, bodies={"note": note})
        # One write for each promise: a kill never leaves half a line that looks like a number.
        sys.stdout.write(f"{entry.seq} {entry.leaf}\n")
        sys.stdout.flush()
        if n % 7 == 0:
            ledger.checkpoint()
        n += 1


with Ledger.open(path, checkpoint_every=50) as opened:
    threads = [Thread(target=write, args=(opened, writer), daemon=True) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
