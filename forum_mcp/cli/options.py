"""Options that several commands share, declared once.

``with_flags`` gives a command every flag of the settings and hands them over as one ``Flags``; a flag given before
the command counts where the command does not repeat it.
"""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from forum_mcp.cli.places import meant
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.names import STEPS

__all__ = ["AsJson", "LedgerPath", "Quiet", "ReadOnly", "Tools", "Wait", "ledger_of", "root_flags", "with_flags"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
LedgerPath = Annotated[
    str | None,
    typer.Option("--ledger", metavar="PATH", help="The ledger; :memory: keeps nothing.", show_default=False),
]

Wait = Annotated[
    float | None,
    typer.Option(
        "--wait", metavar="S", min=0, help="Stop waiting after S seconds; the run can be resumed.", show_default=False
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Tools = Annotated[
    str, typer.Option("--tools", metavar="SET", help="Tools to serve: all, core, read-only, or names with commas.")
]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="No tool that changes the record.")]


def _text(flag: str, metavar: str, words: str) -> object:
    return Annotated[str | None, typer.Option(flag, metavar=metavar, help=words, show_default=False)]


_FLAGS: Final[dict[str, object]] = {
    "ledger": LedgerPath,
    "config": _text("--config", "FILE", "Configuration file, in place of .forum/config.toml."),
    "roster": _text("--roster", "FILE", "Lanes that add to, change or remove shipped ones."),
    "cmd": _text("--cmd", "COMMAND", "Model: a program; the task on stdin, or in the argument {prompt}."),
    "agent": _text("--agent", "NAME", "Model: an agent program: claude, codex, gemini, opencode, llm or ollama."),
    "sandbox": _text("--sandbox", "LEVEL", "Isolation of --cmd or --agent: none, rlimits, landlock or bwrap."),
    "worktree": _text("--worktree", "REPO", "Give each call of --cmd or --agent a git worktree of this repository."),
    "chat_url": _text("--chat-url", "URL", "Model: an OpenAI-compatible server, with --model."),
    "api": Annotated[
        bool | None, typer.Option("--api", help="Model: Anthropic's API, with --model.", show_default=False)
    ],
    "api_url": _text("--api-url", "URL", "Model: another server that speaks Anthropic's API, with --model."),
    "model": _text("--model", "NAME", "Model name for a server or --agent."),
    "api_key": _text("--api-key", "REF", "Key of the server: env:NAME or file:PATH; of --api env:ANTHROPIC_API_KEY."),
    "local": _text("--local", "FILE", "Model: a GGUF file, or package:NAME of a package that carries one."),
    "scripted": _text("--scripted", "FILE", "Fixed replies from a file, for tests and examples."),
    "max_tokens": Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            min=1,
            help="Most tokens of one reply of a server or --local.",
            show_default=False,
        ),
    ],
    "roles": _text("--roles", "NAMES", "Executors of every role but the worker, or rules."),
    "coordinator": _text("--coordinator", "NAMES", "Who plans: executors or rules, first rung first."),
    "worker": _text("--worker", "NAMES", "Who does the tasks: executors or host, first rung first."),
    "validator": _text("--validator", "NAMES", "Who judges the tasks: executors or rules."),
    "synthesizer": _text("--synthesizer", "NAMES", "Who makes the answer: executors or rules."),
    "classifier": _text("--classifier", "NAMES", "Who finds the lane under --classify."),
    "panelists": _text("--panelists", "NAMES", "Who judges besides the validator under --panel."),
    "judge": _text("--judge", "NAMES", "Who judges the answer under --intent."),
    "reviser": _text("--reviser", "NAMES", "Who shortens the answer under --delivery."),
    "verifier": _text("--verifier", "NAMES", "Who checks the answer under --verification."),
    "max_parallel": Annotated[
        int | None,
        typer.Option("--max-parallel", metavar="N", min=1, max=64, help="Calls at a time.", show_default=False),
    ],
    "allow_approvals": Annotated[
        bool | None,
        typer.Option("--allow-approvals", help="Let the tool run_control resolve gates.", show_default=False),
    ],
    "local_only": Annotated[
        bool | None,
        typer.Option("--local-only", help="Refuse executors that reach beyond this machine.", show_default=False),
    ],
    **{
        name: Annotated[bool | None, typer.Option(f"--{name}/--no-{name}", help=words, show_default=False)]
        for name, words in STEPS.items()
    },
}


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with its parameter ``flags`` spread into options; it must take ``ctx`` too."""
    own = [value for value in inspect.signature(command).parameters.values() if value.name != "flags"]
    spread = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _FLAGS.items()
    ]

    def invoke(*, ctx: typer.Context, **given: Any) -> None:
        flags = Flags(**{name: given.pop(name) for name in _FLAGS}).over(root_flags(ctx))
        command(ctx=ctx, flags=flags, **given)

    invoke.__name__, invoke.__doc__ = command.__name__, command.__doc__
    parameters = [value.replace(kind=inspect.Parameter.KEYWORD_ONLY) for value in own] + spread
    invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    invoke.__annotations__ = {value.name: value.annotation for value in parameters}
    return invoke


def root_flags(ctx: typer.Context) -> Flags:
    """Return the flags that were given before the command."""
    found = ctx.find_root().obj
    return found if isinstance(found, Flags) else Flags()


def ledger_of(ctx: typer.Context, ledger: str | None) -> str:
    """Return the ledger a reading command means.

    Raises:
        LedgerMissing: nothing is there; nothing was created.
        ConfigRefused: a configuration file that would name it is not TOML.
    """
    before = root_flags(ctx)
    return meant(before.ledger if ledger is None else ledger, before.config)
