"""The command line as a person meets it: arguments and streams in, output and an exit code out."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from unittest.mock import patch

from forum_mcp.cli.app import main

__all__ = ["COMMAND", "Done", "forum", "process"]

COMMAND: Final = (sys.executable, "-m", "forum_mcp.cli")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        """Its stdout as text."""
        return self.raw.decode()

    def json(self) -> dict[str, object]:
        """Return the one JSON object on stdout."""
        return cast("dict[str, object]", json.loads(self.raw))


def forum(*arguments: str, cwd: Path | None = None, stdin: str = "") -> Done:
    """Run the command line within this process: the same entry point, streams of its own."""
    raw_out, raw_err = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(raw, encoding="utf-8", write_through=True) for raw in (raw_out, raw_err))
    with (
        patch.object(sys, "argv", ["forum-mcp", *arguments]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()))),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd or Path.cwd()),
    ):
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    assert isinstance(code, int)
    return Done(code, raw_out.getvalue(), raw_err.getvalue().decode())


def process(*arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str = "") -> Done:
    """Run ``forum-mcp`` as a process of its own and wait for its end."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=None if env is None else {**os.environ, **env},
        input=stdin.encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())
