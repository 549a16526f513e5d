"""An MCP server whose every step is an entry of a ledger that a stranger can verify.

``Orchestrator`` runs requests, ``Settings`` is what one is opened with, ``Ledger`` is the record; each is loaded when
first asked for, so that a command that needs none does not pay for them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forum_mcp.configs.settings import Settings
    from forum_mcp.engine.ledger import Ledger
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["Ledger", "Orchestrator", "Settings", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "Ledger":
        from forum_mcp.engine.ledger import Ledger

        return Ledger
    if name == "Orchestrator":
        from forum_mcp.engine.orchestrator import Orchestrator

        return Orchestrator
    if name == "Settings":
        from forum_mcp.configs.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
