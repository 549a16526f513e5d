"""Live one simulated life again and show its record: ``python -m tests.simulation SEED``."""

import sys

from tests.simulation.scenario import Life, live

if __name__ == "__main__":
    life = Life(int(sys.argv[1]))
    try:
        live(life)
    finally:
        for entry in life.watch.entries:
            print(entry.seq, (entry.run or "-")[:4], entry.kind, entry.actor, entry.data if entry.run else "")
        print(f"seed {life.seed}: {len(life.watch.entries)} entries, {life.crashes} crashes, runs {life.ends}")
