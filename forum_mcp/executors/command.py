"""Any command as an executor: an argument vector, never a shell.

The command gets ``system``, an empty line and ``prompt`` on stdin; or, where an element of its argv
contains ``{prompt}``, the same text in that element, as one literal argument, and an empty stdin. A schema
is not passed on: the roles that want one say so in the prompt. What it prints on stdout is the reply.

It runs in an empty private directory that is removed afterwards, in its own session, with a clean
environment (``ENVIRONMENT``, ``TERM=dumb``, the names the settings pass on, the variables they set,
``FORUM_DEPTH``) and no descriptor of ours. When the attempt ends, for whatever reason, everything it
started is killed, daemons included.
"""

import errno
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.executors.child import LaunchFailed
from forum_mcp.executors.process import Ended, Launcher, Limits
from forum_mcp.rules.failures import ErrorClass

__all__ = ["ENVIRONMENT", "CommandExecutor", "build", "nesting_depth"]

ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TMPDIR")
_PLACE: Final = "{prompt}"
_OCTETS: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"
# Every other errno of exec is a shortage on our side (processes, descriptors, memory) and may pass.
_NOT_EXECUTABLE: Final = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.ENOTDIR,
        errno.ENOEXEC,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ETXTBSY,
        errno.E2BIG,
    }
)


def nesting_depth(environ: Mapping[str, str]) -> int:
    """Return how many forums this process runs below (``FORUM_DEPTH``); an unreadable value counts as 1."""
    value = environ.get("FORUM_DEPTH", "0")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 1


class CommandExecutor:
    """Runs one argument vector per attempt.

    ``environ`` is the environment of this process, read once. Below another forum (``FORUM_DEPTH`` >= 1)
    every attempt is ``refused`` unless ``allow_nested``: an agent that calls forum-mcp again would never end.
    """

    type = "command"

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        env: Mapping[str, str] | None = None,
        pass_env: Sequence[str] = (),
        model: str | None = None,
        egress: Egress = "internet",
        allow_nested: bool = False,
        stdout_bytes: int = 1_048_576,
    ) -> None:
        self.model = model
        self.egress: Egress = egress
        self._argv = tuple(argv)
        self._depth = nesting_depth(environ)
        self._allow_nested = allow_nested
        self._stdout_bytes = stdout_bytes
        self._named_env = sorted({*pass_env, *(env or {})})
        passed = {
            name: value
            for name, value in environ.items()
            if name in ENVIRONMENT or name.startswith("LC_") or name in pass_env
        }
        self._env = {"TERM": "dumb", **passed, **(env or {}), "FORUM_DEPTH": str(self._depth + 1)}
        self._launcher = Launcher()

    def identity(self) -> Mapping[str, object]:
        """Return argv, model and the names (never the values) of the variables that were configured."""
        return {
            "type": self.type,
            "argv": list(self._argv),
            "model": self.model,
            "env": list(self._named_env),
        }

    async def perform(self, call: Call) -> Outcome:
        """Run the command once; the reply is its stdout, also beside an error."""
        if self._depth >= 1 and not self._allow_nested:
            return Outcome(
                error="refused",
                detail=f"this forum-mcp was started by a command of another one (FORUM_DEPTH={self._depth}); "
                "commands are not run below each other",
            )
        try:
            path = self._executable()
            text = call.system + b"\n\n" + call.prompt if call.system else call.prompt
            arguments = [os.fsencode(argument) for argument in self._argv[1:]]
            place = _PLACE.encode()
            inline = any(place in argument for argument in arguments)
            ended = await self._launcher.run(
                [path, *(argument.replace(place, text) for argument in arguments)],
                env=self._env,
                stdin=None if inline else text,
                limits=Limits(timeout_s=call.timeout_ms / 1000, stdout_bytes=self._stdout_bytes),
            )
        except LaunchFailed as failure:
            return self._not_started(failure)
        except Exception as fault:
            return Outcome(error="executor-crashed", detail=f"{type(fault).__name__} while running the command")
        return self._outcome(ended, call)

    async def aclose(self) -> None:
        """Kill what still runs and end the helper process."""
        await self._launcher.aclose()

    def _executable(self) -> bytes:
        """Return the path to execute: a name is looked up on the command's PATH, a path from here."""
        name = self._argv[0]
        found = shutil.which(name, path=self._env.get("PATH", os.defpath))
        return os.fsencode(Path(found or name).absolute() if found or os.sep in name else name)

    def _not_started(self, failure: LaunchFailed) -> Outcome:
        name = self._argv[0]
        if failure.errno == errno.E2BIG:
            detail = f"{name!r} was given too long an argument; leave out {_PLACE} to pass the prompt on stdin"
            return Outcome(error="not-found", sent_model=self.model, detail=detail)
        if failure.errno in _NOT_EXECUTABLE:
            detail = f"{name!r} cannot be executed: {failure}"
            return Outcome(error="not-found", sent_model=self.model, detail=detail)
        return Outcome(error="executor-crashed", sent_model=self.model, detail=f"{name!r} not started: {failure}")

    def _outcome(self, ended: Ended, call: Call) -> Outcome:
        truncated = ended.cut == "output-limit"
        reply, readable = _readable(ended.stdout, truncated=truncated)
        error, detail = self._judge(ended, call, readable=readable)
        # The tail starts anywhere, also inside a character, and is for a person to read: always valid UTF-8.
        stderr = ended.stderr.decode("utf-8", "replace").encode() or None
        return Outcome(
            error=error,
            reply=reply or None,
            reply_type=_TEXT if readable else _OCTETS,
            detail=detail,
            stderr=stderr,
            sent_model=self.model,
            exit_code=ended.exit_code,
            truncated=truncated,
        )

    def _judge(self, ended: Ended, call: Call, *, readable: bool) -> tuple[ErrorClass | None, str | None]:
        if ended.cut == "timeout":
            return "timeout", f"ended after {call.timeout_ms} ms, the time limit of the attempt"
        if ended.cut == "output-limit":
            return "output-limit", f"ended after {self._stdout_bytes} bytes of output, the most that is kept"
        if ended.signal is not None:
            return "signal", f"ended by {_signal_name(ended.signal)}"
        if ended.exit_code is None:
            return "executor-crashed", "the process that watches the command was killed"
        if ended.exit_code != 0:
            return "exit-code", f"exit code {ended.exit_code}{self._hint()}"
        if not readable:
            return "bad-encoding", "the output is not UTF-8"
        if not ended.stdout.strip():
            return "empty-reply", "exit code 0, but nothing on stdout"
        return None, None

    def _hint(self) -> str:
        """Say what surprises most: a relative path in argv leads nowhere from the private directory."""
        relative = (part for part in self._argv[1:] if not Path(part).is_absolute() and Path(part).is_file())
        first = next(relative, None)
        if first is None:
            return ""
        return f"; commands run in an empty directory, so {first!r} is not found there: give its absolute path"


def _readable(stdout: bytes, *, truncated: bool) -> tuple[bytes, bool]:
    """Return the reply and whether it is UTF-8; a cut inside the last character is moved before it."""
    try:
        stdout.decode()
    except UnicodeDecodeError as fault:
        if truncated and fault.reason == "unexpected end of data":
            return stdout[: fault.start], True
        return stdout, False
    return stdout, True


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:
        return f"signal {number}"


def build(name: str, settings: ExecutorSettings) -> CommandExecutor:
    """Return the executor of a ``command`` section.

    Raises:
        ConfigRefused: an argv or env without sense, or no process control on this system.
    """
    if sys.platform == "win32":
        raise ConfigRefused(f"executor {name!r} of type 'command' needs a POSIX system; use 'chat' or 'host' instead")
    if not settings.argv[0]:
        raise ConfigRefused(f"executor {name!r} has an empty word as its command; argv begins with the command")
    for variable in settings.env:
        if not variable or "=" in variable:
            raise ConfigRefused(
                f"executor {name!r} sets {variable!r}, which is not the name of an environment variable"
            )
    return CommandExecutor(
        settings.argv,
        environ=os.environ,
        env=settings.env,
        pass_env=settings.pass_env,
        model=settings.model,
        egress=settings.egress or "internet",
    )
