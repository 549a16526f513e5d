"""Which tasks need a decision: the agenda, kept up by whatever changes a task."""

from forum_mcp.rules.run import RunState, TaskState

__all__ = ["touch"]


def touch(state: RunState, held: TaskState | None) -> None:
    """Put the task on the agenda if it needs a decision, else take it off."""
    if held is None:
        return
    if _needs_decision(held):
        state.agenda[held.plan.id] = None
    else:
        state.agenda.pop(held.plan.id, None)


def _needs_decision(held: TaskState) -> bool:
    match held.status:
        case "working":
            return held.work.progress not in ("open", "deferred")
        case "judging":
            under_way = [*held.checking, held.verdict_calls]
            return all(each.progress not in ("open", "deferred") for each in under_way)
        case "retiring" | "doomed":
            return True
        case _:
            return False
