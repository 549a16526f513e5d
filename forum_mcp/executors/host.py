"""The marker for work that the calling assistant does itself.

A call of a ``host`` executor is parked in the record as a work item, which the ``work`` tool hands out; the
engine never calls ``perform``. The marker exists so that a role can be bound to the assistant like to any
other executor.

Its egress is ``internet``: what model the assistant runs, and where, is not ours to know, so the widest is
assumed.
"""

from collections.abc import Mapping

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors.base import Call, Egress, Outcome

__all__ = ["HostExecutor", "build"]


class HostExecutor:
    """Stands for the calling assistant."""

    type = "host"

    def __init__(self, *, model: str | None = None, egress: Egress = "internet") -> None:
        self.model = model
        self.egress: Egress = egress

    def identity(self) -> Mapping[str, object]:
        """Return the type and, when the settings name one, the model."""
        return {"type": self.type, "model": self.model}

    async def perform(self, call: Call) -> Outcome:
        """Return ``executor-missing``: nobody in this process can do the assistant's work."""
        detail = "work for the calling assistant is handed out by the work tool and cannot be run here"
        return Outcome(error="executor-missing", detail=detail)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to end."""


def build(name: str, settings: ExecutorSettings) -> HostExecutor:
    """Return the marker of a ``host`` section."""
    return HostExecutor(model=settings.model, egress=settings.egress or "internet")
