"""A group of commands that are loaded when one of them is asked for, so that no command pays for the others.

A module of commands has ``register(app)``. The tables are the whole list: a command that is not in one does not exist.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, cast

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter

__all__ = ["LEDGER", "ROOT", "Group", "LazyGroup", "LedgerGroup", "RootGroup"]

ROOT: Final[Mapping[str, str]] = {
    "demo": "forum_mcp.cli.demo",
    "init": "forum_mcp.cli.init",
    "install": "forum_mcp.cli.install",
    "doctor": "forum_mcp.cli.doctor.command",
    "route": "forum_mcp.cli.route",
    "plan": "forum_mcp.cli.submit",
    "submit": "forum_mcp.cli.submit",
    "run": "forum_mcp.cli.runs",
    "gate": "forum_mcp.cli.gates",
    "ledger": "forum_mcp.cli.ledger",
    "models": "forum_mcp.cli.models",
    "config": "forum_mcp.cli.config",
    "trust": "forum_mcp.cli.config",
    "uninstall": "forum_mcp.cli.install",
    "serve": "forum_mcp.cli.serve",
    "mcp": "forum_mcp.cli.mcp",
}
"""Command of ``forum-mcp`` -> the module that registers it, in the order of the help."""

LEDGER: Final[Mapping[str, str]] = {
    "show": "forum_mcp.cli.reading",
    "trace": "forum_mcp.cli.reading",
    "summary": "forum_mcp.cli.figures",
    "compare": "forum_mcp.cli.figures",
    "import": "forum_mcp.cli.importing",
    "export": "forum_mcp.cli.receipts",
    "receipt": "forum_mcp.cli.receipts",
    "prove": "forum_mcp.cli.receipts",
    "key": "forum_mcp.cli.custody",
    "accept-rollback": "forum_mcp.cli.custody",
    "redact": "forum_mcp.cli.custody",
    "prune": "forum_mcp.cli.custody",
    "backup": "forum_mcp.cli.custody",
    "restore": "forum_mcp.cli.custody",
    "cosign": "forum_mcp.cli.custody",
    "witnesses": "forum_mcp.cli.custody",
    "anchor": "forum_mcp.cli.custody",
}
"""Command of ``forum-mcp ledger`` beyond those of its own module -> the module that registers it."""


_SENTENCE: Final = 1_000
_OWN: Final = frozenset(
    {"version", "tools", "read_only", "ledger", "config", "install_completion", "show_completion", "help"}
)
"""Options shown in the help of ``forum-mcp`` itself."""


class _Commands(Protocol):
    """A module of commands."""

    def register(self, app: typer.Typer) -> None:
        """Add its commands."""
        ...


class Group(TyperGroup):
    """Commands, each with the whole first sentence of its help, on several lines where it needs them."""

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the commands."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_SENTENCE)) for name, each in found if each])


class LazyGroup(Group):
    """Commands of its own, and those of ``modules``."""

    modules: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: "Context") -> list[str]:
        """Return the names of all commands; loads none."""
        del ctx
        return [*(name for name in self.commands if name not in self.modules), *self.modules]

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        """Return a command, loading the module it is in."""
        del ctx
        if cmd_name not in self.commands and cmd_name in self.modules:
            parent = typer.Typer(rich_markup_mode=None)
            cast("_Commands", import_module(self.modules[cmd_name])).register(parent)
            self.commands.update(typer.main.get_group(parent).commands)
        return self.commands.get(cmd_name)


class RootGroup(LazyGroup):
    """The commands of ``forum-mcp``; its help begins with them."""

    modules = ROOT

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the commands, then the few options that are no setting of a model or role."""
        self.format_commands(ctx, formatter)
        with formatter.section("Options"):
            formatter.write_dl(
                [row for each in self.get_params(ctx) if each.name in _OWN and (row := each.get_help_record(ctx))]
            )
        formatter.write_paragraph()
        formatter.write_text("Models and roles are options of each command that runs something: forum-mcp mcp --help.")


class LedgerGroup(LazyGroup):
    """The commands of ``forum-mcp ledger``."""

    modules = LEDGER
