"""How a command ended, as an outcome: which error class, what is kept of its output, what its profile reads in it."""

import errno
import signal
from dataclasses import replace
from typing import Final

from forum_mcp.executors.base import Outcome
from forum_mcp.executors.child import LaunchFailed
from forum_mcp.executors.process import Ended
from forum_mcp.executors.profiles import Profile
from forum_mcp.rules.failures import ErrorClass

__all__ = ["REPLY_MAX_BYTES", "not_started", "outcome_of", "with_patch"]

REPLY_MAX_BYTES: Final = 1_048_576
"""Most bytes of a reply, and of the output that is kept where there is none."""

_OCTETS: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"
_NAMES_SHOWN: Final = 200
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
_OVER_LIMIT: Final = {
    signal.SIGXCPU: "ended after more processor time than it may take",
    signal.SIGXFSZ: "ended for writing a larger file than it may",
}
_TOGETHER: Final = {
    "processes": "ended because it ran more processes than it may",
    "memory": "ended because it and what it started took more memory than they may",
}


def not_started(name: str, failure: LaunchFailed, *, model: str | None, sandbox: str, place: str) -> Outcome:
    """Return the outcome of a command that did not begin; ``place`` is where a prompt stands in an argv."""
    if not failure.confined:
        detail = f"sandbox {sandbox!r} cannot be had on this machine: {failure}; choose another level for {name!r}"
        return Outcome(error="isolation-missing", sent_model=model, detail=detail)
    if failure.errno == errno.E2BIG:
        detail = f"{name!r} was given too long an argument; leave out {place} to pass the prompt on stdin"
        return Outcome(error="not-found", sent_model=model, detail=detail)
    if failure.errno in _NOT_EXECUTABLE:
        return Outcome(error="not-found", sent_model=model, detail=f"{name!r} cannot be executed: {failure}")
    return Outcome(error="executor-crashed", sent_model=model, detail=f"{name!r} not started: {failure}")


def outcome_of(ended: Ended, *, model: str | None, profile: Profile | None, limit_ms: int, hint: str) -> Outcome:
    """Return what came of a command that ran. ``hint`` is said beside a bad exit code."""
    truncated = ended.cut == "output-limit"
    reply, readable = _readable(ended.stdout, truncated=truncated)
    error, detail = _judge(ended, limit_ms, hint, readable=readable)
    # The tail starts anywhere, also inside a character, and is for a person to read: always valid UTF-8.
    stderr = ended.stderr.decode("utf-8", "replace")
    outcome = Outcome(
        error=error,
        reply=reply or None,
        reply_type=_TEXT if readable else _OCTETS,
        detail=detail,
        stderr=stderr.encode() or None,
        sent_model=model,
        exit_code=ended.exit_code,
        truncated=truncated,
    )
    return outcome if profile is None else _as_reported(outcome, profile, ended.stdout, stderr)


def with_patch(outcome: Outcome, patch: bytes) -> Outcome:
    """Return the outcome with the patch; where a command only worked and said nothing, the files are the reply."""
    if not patch:
        return outcome
    if outcome.error != "empty-reply":
        return replace(outcome, patch=patch)
    heads = [line for line in patch.split(b"\n") if line.startswith(b"diff --git ")]
    names = [head.partition(b" b/")[2].decode("utf-8", "replace") for head in heads[:_NAMES_SHOWN]]
    said = f"changed {len(heads)} file{'' if len(heads) == 1 else 's'}:\n" + "\n".join(names)
    return replace(outcome, patch=patch, error=None, detail=None, reply=said.encode(), reply_type=_TEXT)


def _as_reported(outcome: Outcome, profile: Profile, stdout: bytes, stderr: str) -> Outcome:
    """Return the outcome with what the program itself tells; when it failed, what it printed stays the reply."""
    report = profile.read(stdout, stderr)
    error, detail = outcome.error, outcome.detail
    if error in (None, "empty-reply"):
        error, detail = report.error, report.detail
        if error is None and not (report.text or "").strip():
            error, detail = "empty-reply", "the program reports success and no text"
    elif error == "exit-code" and report.error not in (None, "bad-response"):
        error, detail = report.error, f"{detail}; {report.detail}"
    said = outcome.reply or b"" if report.text is None else report.text.encode("utf-8", "replace")
    cut = len(said) > REPLY_MAX_BYTES
    reply, readable = _readable(said[:REPLY_MAX_BYTES], truncated=cut)
    if cut and error is None:
        error, detail = "output-limit", f"the reply is larger than {REPLY_MAX_BYTES} bytes; its first part is kept"
    return replace(
        outcome,
        error=error,
        detail=detail,
        reply=reply or None,
        reply_type=_TEXT if readable else _OCTETS,
        finish_reason=report.finish_reason,
        served_model=report.served_model,
        tokens_in=report.tokens_in,
        tokens_out=report.tokens_out,
        cost_microusd=report.cost_microusd,
        truncated=outcome.truncated or cut or report.error == "length",
    )


def _judge(ended: Ended, limit_ms: int, hint: str, *, readable: bool) -> tuple[ErrorClass | None, str | None]:
    if ended.exceeded is not None:
        return "resource-limit", _TOGETHER[ended.exceeded]
    if ended.cut == "timeout":
        return "timeout", f"ended after {limit_ms} ms, the time limit of the attempt"
    if ended.cut == "output-limit":
        return "output-limit", f"ended after {len(ended.stdout)} bytes of output, the most that is kept"
    if ended.signal in _OVER_LIMIT:
        return "resource-limit", _OVER_LIMIT[signal.Signals(ended.signal)]
    if ended.signal is not None:
        return "signal", f"ended by {_signal_name(ended.signal)}"
    if ended.exit_code is None:
        return "executor-crashed", "the process that watches the command was killed"
    if ended.exit_code != 0:
        return "exit-code", f"exit code {ended.exit_code}{hint}"
    if not readable:
        return "bad-encoding", "the output is not UTF-8"
    if not ended.stdout.strip():
        return "empty-reply", "exit code 0, but nothing on stdout"
    return None, None


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
