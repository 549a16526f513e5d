"""``forum-mcp ledger summary`` and ``compare``: a run or a ledger in figures, one or two of them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forum_mcp.cli.options import AsJson, LedgerPath, ledger_of
from forum_mcp.cli.places import existing, opened
from forum_mcp.cli.terminal import columns, emit, emit_json, one_line
from forum_mcp.engine.entry_summary import counted

if TYPE_CHECKING:
    from forum_mcp.engine.compare import CompareView
    from forum_mcp.engine.summary import SummaryView
    from forum_mcp.engine.tally import TaskFigures

__all__ = ["register"]

_RUN: Final = re.compile(r"[0-9a-f]{32}")
_Side = Annotated[str, typer.Argument(metavar="RUN_ID|FILE|FILE#RUN_ID", show_default=False)]
_NoVerify = Annotated[bool, typer.Option("--no-verify", help="Count only; leave verifying the ledger out.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``ledger``."""
    app.command("summary")(summary)
    app.command("compare")(compare)


def summary(
    ctx: typer.Context,
    run_id: Annotated[
        str | None, typer.Option("--run", metavar="RUN_ID", help="One run of it.", show_default=False)
    ] = None,
    no_verify: _NoVerify = False,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Count what a ledger or a run holds: outcomes, calls by model, tokens, cost, time, bytes, and whether it verifies.

    Exit 1 when verifying finds something.
    """
    from forum_mcp.engine.summary import summarize

    with opened(ledger_of(ctx, ledger)) as record:
        view = summarize(record, run_id, verify=not no_verify)
    if as_json:
        emit_json(view.to_dict())
    else:
        for line in _lines(view):
            emit(line)
    raise typer.Exit(0 if view.verified is None or view.verified.clean else 1)


def compare(
    ctx: typer.Context,
    a: _Side,
    b: _Side,
    no_verify: _NoVerify = False,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs or two ledgers; a file is a ledger or an export.

    Exit 1 when verifying finds something.
    """
    from forum_mcp.engine.compare import compare as compared

    view = compared(*(_side(ctx, ledger, side, verify=not no_verify) for side in (a, b)))
    if as_json:
        emit_json(view.to_dict())
    else:
        for line in _comparison(view):
            emit(line)
    sides = (view.a.verified, view.b.verified)
    raise typer.Exit(0 if all(each is None or each.clean for each in sides) else 1)


def _side(ctx: typer.Context, ledger: str | None, side: str, *, verify: bool) -> "SummaryView":
    """Return the figures of one side: a run of the ledger in use, a file, or a run of a file."""
    from forum_mcp.engine.summary import summarize

    if _RUN.fullmatch(side) and not Path(side).exists():
        path, run_id = ledger_of(ctx, ledger), side
    else:
        file, hash_sign, run_id = side.rpartition("#")
        if not hash_sign or not _RUN.fullmatch(run_id):
            file, run_id = side, None
        path = existing(str(Path(file).expanduser()))
    with opened(path) as record:
        return summarize(record, run_id, verify=verify)


def _lines(view: "SummaryView") -> Iterator[str]:
    if view.run is None:
        yield f"ledger {view.ledger}: {view.entries} entries, {_counted(view.runs) or 'no'} runs"
    else:
        yield f"run {view.run} of ledger {view.ledger}: {view.state}, lane {view.lane}, {view.entries} entries"
        yield f"request: {one_line(view.request, 100) if view.request is not None else '(not here)'}"
    if view.first_at is not None and view.last_at is not None:
        yield f"from {_time(view.first_at)} to {_time(view.last_at)}; active {view.active_seconds:.2f} s"
    yield f"tasks: {_counted(view.tasks) or 'none'}; verdicts: {_counted(view.verdicts) or 'none'}"
    yield f"steps: {_counted(view.steps) or 'none'}"
    failed = f", failed: {_counted(view.call_errors)}" if view.call_errors else ""
    other = f", {view.served_other} served by another model than requested" if view.served_other else ""
    yield f"calls: {view.calls}, {view.call_seconds:.2f} s{failed}{other}"
    yield f"tokens: {_known(view.tokens_in)} in, {_known(view.tokens_out)} out{_untold(view.tokens_untold)}"
    cost = "unknown" if view.cost_usd is None else f"${view.cost_usd:.6f}"
    yield f"cost: {cost}{_untold(view.unpriced)}"
    if view.models:
        head = ("model", "calls", "failed", "tokens in", "tokens out", "cost", "seconds")
        rows = [
            (
                each.model,
                str(each.calls),
                str(each.errors),
                _known(each.tokens_in),
                _known(each.tokens_out),
                "?" if each.cost_usd is None else f"${each.cost_usd:.6f}",
                f"{each.seconds:.2f}",
            )
            for each in view.models
        ]
        yield from ("  " + line for line in columns([head, *rows]))
    if view.task_list:
        yield from ("  " + line for line in columns([_TASK_HEAD, *(_task_row(task) for task in view.task_list)]))
    yield from ("  " + line for line in columns((kind, str(count)) for kind, count in view.kinds.items()))
    bytes_ = view.payload
    yield f"bytes: {bytes_.entry_bytes} in entries, {bytes_.body_bytes} in {bytes_.bodies} bodies"
    yield from _trust(view)


_TASK_HEAD: Final = ("task", "lane", "state", "verdict", "calls", "tokens", "seconds")


def _task_row(task: "TaskFigures") -> tuple[str, ...]:
    return (
        task.id,
        task.lane or "-",
        task.state,
        task.verdict or "none",
        str(task.calls),
        _known(task.tokens),
        f"{task.seconds:.2f}",
    )


def _trust(view: "SummaryView") -> Iterator[str]:
    size = (view.checkpoint or "").split("\n")[1:2]
    yield f"checkpoint: over {size[0]} entries" if size else "checkpoint: none"
    if view.verified is None:
        yield "verify: not asked for"
    elif view.verified.clean:
        yield f"verify: clean, level {view.verified.level}, root {view.verified.root}"
    else:
        found = _counted(view.verified.codes)
        yield f"verify: {view.verified.findings} findings ({found}); see ledger verify"


def _comparison(view: "CompareView") -> Iterator[str]:
    for name, side in (("a", view.a), ("b", view.b)):
        what = f"ledger {side.ledger}" if side.run is None else f"run {side.run} of ledger {side.ledger}"
        trust = "not verified" if side.verified is None else "clean" if side.verified.clean else "does not verify"
        yield f"{name}: {what} ({trust})"
    if view.same_request is not None:
        yield "the same request" if view.same_request else "different requests"
    rows = [("", "a", "b", "b - a")]
    rows += [(fact.name, _known(fact.a), _known(fact.b), _difference(fact.difference)) for fact in view.facts]
    yield from columns(rows)
    if view.tasks:
        yield "tasks:"
        pairs = [
            (pair.id, name, *_task_row(side)[1:])
            for pair in view.tasks
            for name, side in (("a", pair.a), ("b", pair.b))
            if side is not None
        ]
        yield from ("  " + line for line in columns([("task", "", *_TASK_HEAD[1:]), *pairs]))


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _known(value: float | str | None) -> str:
    return "?" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _difference(value: float | None) -> str:
    return "" if value is None else "=" if value == 0 else f"{value:+.6g}" if isinstance(value, float) else f"{value:+}"


def _untold(calls: int) -> str:
    return f" ({counted(calls, 'call')} did not tell)" if calls else ""


def _time(at: int) -> str:
    try:
        return datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return str(at)
