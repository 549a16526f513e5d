"""Names the configuration knows; apart from ``settings`` so that the command line stays light."""

from typing import Final

__all__ = ["ALL_ROLES", "BUILT_IN", "ROLES", "STEPS", "STEP_ROLES"]

BUILT_IN: Final = ("rules", "host")
"""Names a role may be bound to without a table: deterministic code, and the calling assistant."""

ROLES: Final = ("coordinator", "worker", "validator", "synthesizer", "classifier", "judge", "reviser")
"""Roles that a model flag binds; the last three are asked only in a step that is switched on."""

ALL_ROLES: Final = (*ROLES, "panelists", "verifier")
"""These and the roles that are nobody's until they are named."""

STEPS: Final[dict[str, str]] = {
    "classify": "Ask the classifier when the router abstains.",
    "escalate": "Go up the ladder when a rung fails.",
    "panel": "Have the panel judge what the validator passed.",
    "intent": "Check that the answer covers the request.",
    "delivery": "Check how the answer reads, and shorten it.",
    "verification": "Run the verifier over the answer.",
    "reuse": "Take over finished work of earlier runs where the task is the same.",
}
"""Steps that are off unless asked for: one key of [steps], one flag, one argument of ``submit`` each."""

STEP_ROLES: Final[dict[str, str]] = {"classify": "classifier", "panel": "panelists", "verification": "verifier"}
"""Steps that do nothing without a role that has an executor."""
