"""The checks of a result that need no model, cheapest first.

Each looks at a result and says what it saw: the evidence of the verdict. A check that does not apply says nothing.
Adding one is a function and a row of ``CHECKS``; what a plan or an operator can ask for besides is in ``criteria.py``.
"""

from collections.abc import Callable, Iterator
from typing import Final

from forum_mcp.rules.contract import Contract
from forum_mcp.rules.criteria import judge, outside_check, searched_each
from forum_mcp.rules.finding import Finding
from forum_mcp.rules.loops import news
from forum_mcp.rules.plan import PlannedTask
from forum_mcp.rules.run import RunState, TaskState
from forum_mcp.rules.schema import misfit

__all__ = ["CHECKS", "VERSION", "Check", "criteria_of", "examine", "outside_checks"]

VERSION: Final = 1

Check = Callable[[RunState, TaskState], Iterator[Finding]]

_DEBRIS: Final = (
    "<tool_call>",
    "<|tool_call",
    "<function_call",
    "<function=",
    "[TOOL_CALLS]",
    "<|im_start|>",
    "<|start_header_id|>",
)

_CUT: Final = frozenset({"length", "max_tokens", "max_output_tokens"})
_WITHHELD: Final = frozenset({"content_filter", "safety", "refusal", "recitation"})
_TOOLS: Final = frozenset({"tool_calls", "tool_use", "function_call"})

_WORDS_MIN: Final = 50
"""A prompt with fewer words is not suspected of having been cut: what is missing would be lost in the template."""


def examine(state: RunState, held: TaskState) -> list[Finding]:
    """Return what the checks say of the task's result, in the order they were made.

    A result that fails is looked at no further: the checks that cost more are not made.
    """
    findings: list[Finding] = []
    broken = False
    for check in CHECKS:
        for found in check(state, held):
            findings.append(found)
            broken |= found.counts and not found.passed
        if broken:
            break
    return findings


def criteria_of(contract: Contract, planned: PlannedTask) -> tuple[str, ...]:
    """Return the criteria of a task: the operator's for all, those of its lane, its own; each once."""
    lane = contract.lanes.get(planned.lane)
    own = lane.done_when if lane is not None else ()
    return tuple(dict.fromkeys([*contract.policy.done_when, *own, *planned.done_when]))


def outside_checks(contract: Contract, planned: PlannedTask) -> dict[str, str]:
    """Return name -> executor of the outside checks the task's criteria name, in their order."""
    names = [name for line in criteria_of(contract, planned) if (name := outside_check(line)) is not None]
    return {name: contract.policy.checks[name] for name in names if name in contract.policy.checks}


def _exit_code(_: RunState, held: TaskState) -> Iterator[Finding]:
    code = held.work.outcome.exit_code if held.work.outcome is not None else None
    if code is not None:
        yield Finding("exit-code", code == 0, f"the command ended with exit code {code}")


def _finish_reason(state: RunState, held: TaskState) -> Iterator[Finding]:
    outcome = held.work.outcome
    if outcome is None:
        return
    reason = outcome.finish_reason
    kind = (reason or "").lower()
    if outcome.truncated or kind in _CUT:
        terms = state.contract.executors.get(held.executor or "") if state.contract is not None else None
        if outcome.error is None and terms is not None and terms.keeps_cut:
            yield Finding("finish-reason", True, "the reply was cut at the token limit, which its executor permits")
        else:
            yield Finding("finish-reason", False, "the reply was cut: it ends where the model or we had to stop")
    elif kind in _WITHHELD:
        yield Finding("finish-reason", False, f"the provider withheld the reply ({reason})")
    elif kind in _TOOLS:
        yield Finding("finish-reason", False, f"the model asked for a tool and gave no result ({reason})")
    elif reason:
        yield Finding("finish-reason", True, f"the model ended by itself ({reason})")


def _not_empty(_: RunState, held: TaskState) -> Iterator[Finding]:
    full = bool(held.output.strip())
    yield Finding("not-empty", full, f"{len(held.output)} characters" if full else "the output is empty")


def _no_debris(_: RunState, held: TaskState) -> Iterator[Finding]:
    debris = next((mark for mark in _DEBRIS if held.output.lstrip().startswith(mark)), None)
    if debris is None:
        yield Finding("no-debris", True, "no tool call in the place of a result")
    else:
        seen = f"the output is a tool call or template debris: it starts with {debris!r}"
        yield Finding("no-debris", False, seen)


def _whole_prompt(state: RunState, held: TaskState) -> Iterator[Finding]:
    """Compare the tokens the server says it read with the words that were sent: no word is less than a token."""
    outcome = held.work.outcome
    if outcome is None or outcome.tokens_in is None or held.work.words < _WORDS_MIN:
        return
    assert state.contract is not None
    whole = outcome.tokens_in >= held.work.words
    seen = f"{held.work.words} words were sent and {outcome.tokens_in} tokens read"
    counts = state.contract.policy.cut_prompt == "fail"
    yield Finding("whole-prompt", whole, seen if whole else f"{seen}: the prompt was cut, as it seems", counts=counts)


def _news(state: RunState, held: TaskState) -> Iterator[Finding]:
    found = news(state, held)
    if found is not None:
        yield found


def _schema(_: RunState, held: TaskState) -> Iterator[Finding]:
    if held.plan.schema is not None:
        wrong = misfit(held.output, held.plan.schema)
        yield Finding("schema", wrong is None, wrong or "the output fits the task's schema")


def _criteria(state: RunState, held: TaskState) -> Iterator[Finding]:
    assert state.contract is not None
    lines = criteria_of(state.contract, held.plan)
    searched = searched_each(lines)
    for number, line in enumerate(lines, start=1):
        met = judge(line, held.output, searched)
        if met is not None:
            yield Finding(f"done-{number}", met[0], f"{line.strip()}: {met[1]}")


CHECKS: Final[tuple[Check, ...]] = (
    _exit_code,
    _finish_reason,
    _not_empty,
    _no_debris,
    _whole_prompt,
    _schema,
    _criteria,
    _news,
)
"""Every check, cheapest first."""
