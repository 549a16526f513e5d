"""One short line for an entry, made from its ``data`` alone: what ``trace`` shows."""

from collections.abc import Mapping
from typing import Final

__all__ = ["SUMMARY_MAX_CHARS", "counted", "summary"]

SUMMARY_MAX_CHARS: Final = 160

_TEMPLATES: Final[Mapping[str, str]] = {
    "answer.delivery": "answer of {chars} characters, found in it: {faults:nothing}",
    "answer.intent": "answer covers {covered} of {terms} terms of the request",
    "answer.judged": "answer judged {verdict} by {by}",
    "answer.revised": "answer revised by {by}: {because:shorter, accepted}",
    "answer.synthesized": "answer by {by} from {tasks_ok:#task}",
    "answer.verified": "answer verified by {by}: {verdict}",
    "body.redacted": "body {commit:.16} redacted",
    "budget.stopped": "budget of {currency} stopped a call: limit {limit}",
    "call.deferred": "attempt after call {call} waits: {reason}",
    "call.finished": "call {call} ended: {error:ok}",
    "call.started": "{purpose} on {executor}, rung {rung}, attempt {attempt}",
    "checkpoint.anchored": "checkpoint over {size} entries written to {where:.80}",
    "checkpoint.cosigned": "checkpoint over {size} entries cosigned",
    "checkpoint.signed": "checkpoint over the first {size} entries",
    "context.provided": "context {context}: {error:read} ({chars} characters)",
    "gate.opened": "approval of {subject} is asked for",
    "gate.resolved": "gate {gate} resolved, approved {approved}, by {how}",
    "key.rotated": "checkpoints from here on are signed by another key",
    "ledger.imported": "taken over from a {format} ledger",
    "ledger.migrated": "the file's tables went from version {before} to {tables}",
    "ledger.opened": "ledger opened by {software}",
    "ledger.recovered": "ledger recovered: {reason}",
    "plan.accepted": "plan by {by}: {tasks:#task} in {waves:#wave}",
    "plan.rejected": "plan by {by} refused: {reason}",
    "route.decided": "routed to {chosen} by {by}",
    "run.cancelled": "run cancelled: {reason:asked}",
    "run.finished": "run {state}",
    "run.interrupted": "run let go: {reason}",
    "run.resumed": "run taken up again",
    "run.started": "a request came in ({mode})",
    "task.escalated": "task {task} to rung {rung} because of {because}",
    "task.finished": "task {task} finished",
    "task.judged": "task {task} judged {verdict}",
    "task.recalled": "task {task}: done before in entry {found:none}",
    "task.reused": "task {task} reused from entry {found}",
    "task.skipped": "task {task} skipped because of {because}",
    "task.started": "task {task} started in lane {lane}",
    "timer.fired": "a deadline passed",
    "work.expired": "call {call} is on offer again",
    "work.offered": "call {call} offered to the assistant",
    "work.progressed": "call {call} is still being done",
    "work.returned": "call {call} handed back",
    "work.taken": "call {call} taken by an assistant",
}


def counted(number: object, noun: str) -> str:
    """Return a number with its noun: ``1 task``, ``2 tasks``; None is ``? tasks``."""
    return f"{'?' if number is None else number} {noun}{'' if number == 1 else 's'}"


class _Member:
    """A member of ``data`` in a template; the format spec: ``.N`` cuts, ``#noun`` counts, else what stands for None."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        if spec.startswith("#"):
            return counted(self._value, spec[1:])
        cut = int(spec[1:]) if spec.startswith(".") else 60
        if self._value is None:
            return spec if spec and not spec.startswith(".") else "?"
        return str(self._value)[:cut]


class _Members(dict[str, _Member]):
    def __missing__(self, name: str) -> _Member:
        return _Member(None)


def summary(kind: str, data: Mapping[str, object]) -> str:
    """Return the line of an entry; an unknown kind shows its members, a missing member shows as ``?``."""
    template = _TEMPLATES.get(kind)
    if template is None:
        line = ", ".join(f"{name} {_Member(value):.40}" for name, value in data.items() if name != "t_ms")
    else:
        line = template.format_map(_Members({name: _Member(value) for name, value in data.items()}))
    # Names of tasks and reasons come from models: no line break or control character may reach a terminal.
    shown = "".join(character if character.isprintable() else " " for character in line)
    return shown if len(shown) <= SUMMARY_MAX_CHARS else shown[: SUMMARY_MAX_CHARS - 3] + "..."
