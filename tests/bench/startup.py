"""How long commands take to start, as ratios to the bare interpreter: ``python -m tests.bench.startup``.

Processor time (user and system) of whole processes, the least of several rounds: unlike the clock it hardly depends on
what else the machine does. Figures of other machines differ; the ratios less so.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["LIMITS", "main", "ratios"]

ROUNDS: Final = 15
CLI: Final = ("-m", "forum_mcp.cli")

LIMITS: Final = {"--help": 6.0, "ledger verify": 10.0}
"""What issue and README promise."""


def taken_s(words: tuple[str, ...], cache: str) -> float:
    """Return the processor seconds of this interpreter with these words.

    ``cache`` is a directory of compiled modules: an installed package has its own, a checkout perhaps not.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words], check=True, capture_output=True, env={**kept, "PYTHONPYCACHEPREFIX": cache}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ratios(rounds: int = ROUNDS) -> dict[str, float]:
    """Return each command's processor time as a multiple of that of ``python -c pass``.

    All take turns in each round: what else the machine does in that time meets each of them.
    """
    with tempfile.TemporaryDirectory() as directory:
        ledger = str(Path(directory) / "ledger.db")
        submit = ("submit", "write the docs", "--cmd", "echo done", "--roles", "rules", "--ledger", ledger, "--quiet")
        subprocess.run([sys.executable, *CLI, *submit], check=True, capture_output=True)
        commands = {
            "": ("-c", "pass"),
            "--help": (*CLI, "--help"),
            "--version": (*CLI, "--version"),
            "ledger verify": (*CLI, "ledger", "verify", "--ledger", ledger),
            "ledger show": (*CLI, "ledger", "show", "--ledger", ledger),
            "route": (*CLI, "route", "build the database schema"),
        }
        taken = [{name: taken_s(words, directory) for name, words in commands.items()} for _ in range(rounds)]
        bare, *others = (min(each[name] for each in taken) for name in commands)
        return {name: least / bare for name, least in zip(list(commands)[1:], others, strict=True)}


def main() -> int:
    """Print the ratios; return 1 when one is over its limit."""
    found = ratios()
    for name, ratio in found.items():
        limit = LIMITS.get(name)
        print(f"{name:<14} {ratio:5.1f}x bare Python{'' if limit is None else f'   (limit {limit:.0f}x)'}")
    return 1 if any(found[name] > limit for name, limit in LIMITS.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
