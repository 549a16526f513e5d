"""Reuse: a task that was done before is not done again, where the run allows it.

Two tasks are the same when their *task keys* are: the commitments of what goes in, the lane, and who would do it with
what parameters. A fork reuses what the run it comes from had finished; the step ``reuse`` what any run had. Looking a
key up is the engine's (``task.recalled``, an event); taking what was found is decided here, and cites it.
"""

from hashlib import sha256
from typing import Final

from forum_mcp.ledger.canonical import encode
from forum_mcp.ledger.entry import Draft, Entry
from forum_mcp.ledger.kinds.task import TaskRecalled, TaskReused
from forum_mcp.rules.agenda import touch
from forum_mcp.rules.calls import draft
from forum_mcp.rules.checks import outside_checks
from forum_mcp.rules.contract import Contract, members
from forum_mcp.rules.plan import PlannedTask
from forum_mcp.rules.run import Attempts, RunState, TaskState

__all__ = ["VERSION", "may_recall", "on_recalled", "reused", "take", "task_key", "waits_for_recall"]

VERSION: Final = 1


def task_key(state: RunState, held: TaskState) -> str:
    """Return the key of a task that was started: a SHA-256 in hex over commitments, so that redaction holds.

    What the worker is shown and who it is, and who judged it and how: a verdict stands only for the same judges.
    """
    assert state.contract is not None
    assert state.roster is not None
    contract, planned = state.contract, held.plan
    inputs = [state.tasks[edge.id].output_ref for edge in planned.depends_on if edge.type == "data"]
    context = [each.commit for each in state.contexts.values() if each.commit]
    facts: list[object] = [
        held.instruction_commit,
        held.criteria_commit,
        [ref.commit if ref is not None else None for ref in inputs],
        context,
        planned.schema,
        planned.lane,
        state.roster.lanes[planned.lane].description,
        _who(contract, held.work.ladder),
        _judges(contract, planned),
    ]
    return sha256(encode(facts)).hexdigest()


def _who(contract: Contract, ladder: list[str]) -> list[object]:
    """Return who is asked at each rung, without names: a ladder of two is not a rung that two share."""
    return [
        [
            [each.type, each.model, each.max_tokens, each.input_bytes, each.keeps_cut, each.identity]
            for name in members(rung)
            if (each := contract.executors.get(name)) is not None
        ]
        for rung in ladder
    ]


def _judges(contract: Contract, planned: PlannedTask) -> list[object]:
    policy = contract.policy
    return [
        _who(contract, contract.ladder("validator", planned.lane)),
        _who(contract, contract.roles.get("panelists", []) if contract.steps.panel else []),
        _who(contract, list(outside_checks(contract, planned).values())),
        [policy.validator_differs, policy.cut_prompt],
    ]


def may_recall(state: RunState) -> bool:
    """Tell whether finished tasks of other runs may stand for this run's."""
    assert state.contract is not None
    return state.fork_of is not None or state.contract.steps.reuse


def waits_for_recall(state: RunState, held: TaskState) -> bool:
    """Tell whether the task was just started and nobody has looked whether it was done before."""
    fresh = held.work.progress == "idle" and held.work.rung == 0 and held.work.attempt == 0
    return fresh and held.recalled_seq < 0 and may_recall(state)


def reused(state: RunState, held: TaskState) -> Draft | None:
    """Return ``task.reused`` when the look-up found the task's output."""
    del state
    found = held.recalled
    if found is None or held.recalled_ref is None or held.recalled_output is None:
        return None
    return draft(
        "task.reused",
        "engine",
        TaskReused(task=held.plan.id, n=held.n, key=found.key, found=found.found or 0, age_ms=found.age_ms or 0),
        held.started_seq,
        held.recalled_seq,
        bodies={"output": held.recalled_ref},
    )


def on_recalled(state: RunState, entry: Entry, data: TaskRecalled, output: str | None) -> None:
    """Fold ``task.recalled``; ``output`` is the text of what was found."""
    held = state.tasks.get(data.task)
    if held is None or held.status != "working" or held.recalled_seq >= 0:
        return
    held.recalled_seq = entry.seq
    known = output is not None and data.found is not None and data.key == task_key(state, held)
    held.recalled = data if known else None
    held.recalled_ref, held.recalled_output = entry.bodies.get("output"), output
    touch(state, held)


def take(state: RunState, held: TaskState, entry: Entry, data: TaskReused) -> None:
    """Fold what ``task.reused`` says of the task itself; settling it is the caller's."""
    del state
    held.output, held.output_ref = held.recalled_output or "", entry.bodies.get("output")
    held.outcome_seq, held.verdict, held.reused_from = entry.seq, "reused", data.found
    held.work = Attempts("task", held.work.ladder, cause=entry.seq)
