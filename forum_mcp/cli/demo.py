"""``forum-mcp demo``: a guided tour of a real run and of its record, offline, in seconds."""

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Show a run and its record: routes, waves, verdicts, causes; then tampering, found."""
