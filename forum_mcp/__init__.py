"""An MCP server whose every step is an entry of a ledger that a stranger can verify."""

__version__ = "0.1.0"
