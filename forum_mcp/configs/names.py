"""Names the configuration knows; apart from ``settings`` so that the command line stays light."""

from typing import Final

__all__ = ["BUILT_IN", "ROLES"]

BUILT_IN: Final = ("rules", "host")
"""Names a role may be bound to without a table: deterministic code, and the calling assistant."""

ROLES: Final = ("coordinator", "worker", "validator", "synthesizer")
