"""Ladders: who is asked at a rung, and who may not judge whose work.

A rung is one executor, or several that take turns: task by task, so that many tasks share them, and attempt by
attempt, so that a second try is somebody else's.
"""

from typing import Final

from forum_mcp.rules.contract import RULES, Contract, members
from forum_mcp.rules.run import Attempts, RunState, TaskState

__all__ = ["VERSION", "executor_for", "judges", "turns_left"]

VERSION: Final = 1


def executor_for(state: RunState, attempts: Attempts, rung: int, attempt: int, held: TaskState | None) -> str | None:
    """Return the executor of an attempt: whose turn it is, or the next one with a place; None while none has one."""
    assert state.contract is not None
    names = _able(state.contract, attempts, rung)
    turn = attempt - 1 + (held.index if held is not None else 0)
    for step in range(len(names)):
        name = names[(turn + step) % len(names)]
        if sum(item.executor == name for item in state.open.values()) < state.contract.executors[name].max_parallel:
            return name
    return None


def turns_left(state: RunState, attempts: Attempts) -> bool:
    """Tell whether the present rung has executors that were not asked yet."""
    assert state.contract is not None
    return attempts.attempt < len(_able(state.contract, attempts, attempts.rung))


def _able(contract: Contract, attempts: Attempts, rung: int) -> list[str]:
    return [name for name in members(attempts.ladder[rung]) if name not in attempts.barred]


def judges(contract: Contract, ladder: list[str], held: TaskState) -> tuple[list[str], frozenset[str]]:
    """Return (the rungs of a ladder that may judge the task's result, the executors that may not)."""
    if not contract.policy.validator_differs or held.executor is None:
        return ladder, frozenset()
    names = {name for rung in ladder for name in members(rung) if name != RULES}
    barred = frozenset(name for name in names if _same(contract, name, held))
    rungs = [rung for rung in ladder if not set(members(rung)) <= barred]
    return rungs if contract.steps.escalate else rungs[:1], barred


def _same(contract: Contract, name: str, held: TaskState) -> bool:
    """Tell whether an executor is, or runs, what did the task's work."""
    if name == held.executor:
        return True
    worker, other = contract.executors.get(held.executor or ""), contract.executors[name]
    if worker is None:
        return False
    models = {worker.model, held.served} - {None}
    return other.model in models if models else bool(worker.identity) and worker.identity == other.identity
