"""``forum-mcp demo``: watch a real run and its record, offline, in seconds."""

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Watch a run and its record: routes, waves, verdicts, causes; then tampering, and how it is found."""
    from forum_mcp.cli.tour import tour

    raise typer.Exit(0 if tour() else 1)
