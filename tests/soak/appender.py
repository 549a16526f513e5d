"""A process that appends to a ledger, told on stdout what it was promised: path, own name, number of entries."""

import sys

from forum_mcp.engine.ledger import Ledger

path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Ledger.open(path) as ledger:
    for n in range(count):
        entry = ledger.append(
            "soak.noted",
            actor=f"process:{name}",
            data={"n": n},
            bodies={"note": f"{name} {n}\u2028" * (n % 40)},
        )
        # One write for each promise: a kill never leaves half a line that looks like a number.
        sys.stdout.write(f"{entry.seq} {entry.leaf}\n")
        sys.stdout.flush()
