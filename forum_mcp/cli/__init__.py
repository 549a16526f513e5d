"""The command line: one file per command group, listed in ``app.py``.

Invariants: only this room prints; a command that does not serve never imports ``mcp``; a ``ledger`` command loads no
settings; recorded text reaches a terminal escaped. Exit codes: 0 ok, 1 failed or findings, 2 usage, 3 cannot read,
4 waiting, 130 interrupted.
"""

from forum_mcp.cli.app import main

__all__ = ["main"]
