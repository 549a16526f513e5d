"""``forum-mcp plan`` and ``forum-mcp submit``: start a run, follow it, print its answer."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from forum_mcp.cli.following import follow, print_run, show_detached, show_result
from forum_mcp.cli.given import heard
from forum_mcp.cli.in_forum import in_forum
from forum_mcp.cli.options import AsJson, Quiet, Wait, with_flags
from forum_mcp.cli.terminal import columns, emit_json, note
from forum_mcp.configs.flags import Flags
from forum_mcp.engine.views import RunView
from forum_mcp.errors import PlanRefused, RequestRefused

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["register"]

_Request = Annotated[
    str | None,
    typer.Argument(help="The request; - reads it from stdin.", show_default=False, callback=heard),
]
_PlanFile = Annotated[
    str | None,
    typer.Option("--plan", metavar="FILE", help="A plan in JSON, or the id of a planned run.", show_default=False),
]
_Single = Annotated[bool, typer.Option("--single", help="One task, no planning.")]
_Lane = Annotated[
    str | None, typer.Option("--lane", metavar="NAME", help="The lane, instead of routing.", show_default=False)
]
_Context = Annotated[
    list[str] | None,
    typer.Option("--context", metavar="NAME", help="Context the run may read; repeatable.", show_default=False),
]
_MaxCalls = Annotated[
    int | None, typer.Option("--max-calls", metavar="N", min=1, help="Most calls.", show_default=False)
]
_MaxSeconds = Annotated[
    float | None,
    typer.Option("--max-seconds", metavar="S", min=0.001, help="Longest active time, seconds.", show_default=False),
]
_MaxTokens = Annotated[
    int | None,
    typer.Option("--max-total-tokens", metavar="N", min=1, help="Most tokens of all calls.", show_default=False),
]
_MaxUsd = Annotated[
    float | None,
    typer.Option("--max-usd", metavar="USD", min=0.000001, help="Most US dollars.", show_default=False),
]
_Approve = Annotated[
    str | None,
    typer.Option(
        "--approve", metavar="run|wave", help="Wait for approval: of the run, of each wave.", show_default=False
    ),
]
_ApproveAbove = Annotated[
    float | None,
    typer.Option(
        "--approve-above-usd",
        metavar="USD",
        min=0.000001,
        help="Wait for approval at each multiple of this cost.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("plan")(with_flags(plan))
    app.command("submit")(with_flags(submit))


def plan(
    ctx: typer.Context,
    flags: Flags,
    request: _Request = None,
    single: _Single = False,
    lane: _Lane = None,
    context: _Context = None,
    quote: Annotated[bool, typer.Option("--quote", help="Estimate what it will take, from the record.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Route and plan a request; the run then rests until submit --plan RUN_ID."""
    del ctx

    async def work(forum: "Orchestrator") -> RunView:
        view = await forum.plan(_request(request), single=single, lane=lane, context=context or None, wait_s=0)
        view = await follow(forum, view, wait_s=None, quiet=quiet)
        return await forum.quoted(view)

    view = in_forum(flags, work)
    if as_json:
        emit_json(view.to_dict())
    else:
        rows = (
            (f"wave {task.wave}", task.id, task.lane, " ".join(task.depends_on), task.instruction)
            for task in view.tasks
        )
        for line in columns(rows):
            print(line)
        for line in _quote_lines(view) if quote else []:
            print(line)
        if view.tasks and not view.error:
            note(f"run {view.run_id} is planned; start it, with the same models: forum-mcp submit --plan {view.run_id}")
        else:
            note("\n".join(print_run(view)))
    raise typer.Exit(1 if view.state in ("failed", "cancelled") else 0)


def _quote_lines(view: RunView) -> list[str]:
    """Return a quote as lines for a person."""
    if view.quote is None:
        return []
    told = view.quote
    rows = [
        (
            each.id,
            each.executor,
            f"like {each.basis} before" if each.basis else "never done before",
            f"{each.calls} calls" if each.calls is not None else "",
            f"{each.seconds:.1f} s" if each.seconds is not None else "",
            f"{each.cost_usd:.4f} USD" if each.cost_usd is not None else "cost unknown",
        )
        for each in told.tasks
    ]
    cost = f"{told.cost_usd:.4f} USD" if told.cost_usd is not None else "cost unknown"
    whole = f"likely: {told.calls} calls, {told.seconds:.1f} s, {cost}"
    return [*columns(rows), whole + (f"; not known: {', '.join(told.unknown)}" if told.unknown else "")]


def submit(
    ctx: typer.Context,
    flags: Flags,
    request: _Request = None,
    plan: _PlanFile = None,
    single: _Single = False,
    lane: _Lane = None,
    context: _Context = None,
    max_calls: _MaxCalls = None,
    max_seconds: _MaxSeconds = None,
    max_total_tokens: _MaxTokens = None,
    max_usd: _MaxUsd = None,
    approve: _Approve = None,
    approve_above_usd: _ApproveAbove = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            metavar="KEY",
            help="Join the run that has this key, if there is one.",
            show_default=False,
            callback=heard,
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Hand the run to a daemon and return; see run show RUN_ID.")
    ] = False,
    wait: Wait = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a request: route, plan, do the tasks, judge them, answer. Exit 0 succeeded, 1 failed, 4 waiting."""
    del ctx
    given = _plan(plan)
    text = None if request is None and given is not None else _request(request)

    async def work(forum: "Orchestrator") -> RunView:
        view = await forum.submit(
            text,
            plan=given,
            single=single,
            lane=lane,
            context=context or None,
            max_calls=max_calls,
            max_seconds=max_seconds,
            max_total_tokens=max_total_tokens,
            max_usd=max_usd,
            approve=approve,
            approve_above_usd=approve_above_usd,
            idempotency_key=key,
            detach=detach,
            wait_s=0,
        )
        if detach and wait is None:
            return view
        return await follow(forum, view, wait_s=wait, quiet=quiet, held=not detach)

    view = in_forum(flags, work, needs_worker=True)
    if detach:
        show_detached(view, waited=wait is not None, as_json=as_json)
    show_result(view, as_json=as_json)


def _request(request: str | None) -> str:
    if request is None:
        raise RequestRefused("no request is given; say what to do in one argument, or give - and write it on stdin")
    if request != "-":
        return request
    if sys.stdin is None:
        raise RequestRefused("the request is to come on stdin, and there is none; give it as an argument")
    return sys.stdin.buffer.read().decode(errors="surrogateescape")


def _plan(given: str | None) -> "dict[str, object] | str | None":
    if given is None:
        return None
    path = Path(given)
    if not path.exists() and len(given) == 32 and set(given) <= set("0123456789abcdef"):
        return given
    try:
        plan: object = json.loads(path.read_bytes())
    except OSError as error:
        raise RequestRefused(
            f"--plan {given} cannot be read; {error.strerror}; give a file, or a run's id of 32 hex"
        ) from error
    except (ValueError, RecursionError) as error:
        raise PlanRefused(f"--plan {given} is not JSON; {error}; mend the file") from error
    if not isinstance(plan, dict):
        raise PlanRefused(f'--plan {given} is not a plan; expected an object such as {{"tasks": [...]}}; mend the file')
    return cast("dict[str, object]", plan)
