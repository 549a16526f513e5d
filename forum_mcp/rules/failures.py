"""The closed list of error classes an attempt can end with, and which of them may pass by themselves.

``transient`` classes are tried again on the same rung, within the contract's attempts and the budget; the others go
straight to the next rung. The table is part of rules version ``failures``: changing a row is a new version.
"""

from typing import Final, Literal, get_args

__all__ = ["ENGINE_CLASSES", "ERROR_CLASSES", "NOT_BEGUN", "TRANSIENT", "VERSION", "ErrorClass"]

VERSION: Final = 1

ErrorClass = Literal[
    "cancelled",  # the run was cancelled while the attempt ran
    "time-limit",  # the run's time limit ended it
    "interrupted",  # the process that ran it shut down in order
    "in-doubt",  # the process that ran it died; nobody knows whether it took effect
    "budget",  # the rules refused the call: a limit of the run is reached
    "executor-missing",  # the contract names an executor this process does not have
    "executor-changed",  # the executor of that name is not the one the contract recorded
    "executor-crashed",  # a bug or a dead long-lived child on our side
    "egress-refused",  # the run is local only, and the executor's bytes would leave the machine
    "sampling-missing",  # no client was there that lends its model
    "isolation-missing",  # the isolation the command was to run in cannot be had on this machine
    "not-found",  # the command does not exist or cannot be executed
    "exit-code",  # the command ended with a code other than 0
    "signal",  # the command was ended by a signal that we did not send
    "timeout",  # the attempt's own time limit
    "resource-limit",  # the command took more memory, processor time, processes or file size than it may
    "output-limit",  # more output than the cap; the rest was discarded and the command ended
    "empty-reply",  # success reported, nothing said
    "bad-encoding",  # the reply is not UTF-8
    "connect",  # no connection (refused, DNS, TLS)
    "connection-lost",  # cut in the middle of a reply
    "redirect",  # the server answered with a redirect, which is never followed
    "auth",  # 401 or 403
    "bad-request",  # another 4xx
    "rate-limit",  # 429
    "server-error",  # 5xx
    "bad-response",  # an answer that is not the protocol: HTML, no choices, broken JSON
    "length",  # the reply was cut at the token limit; what there is of it is kept
    "refused",  # the provider or the calling assistant declined the work
]

ERROR_CLASSES: Final[frozenset[str]] = frozenset(get_args(ErrorClass))

ENGINE_CLASSES: Final[frozenset[str]] = frozenset({"budget", "cancelled", "in-doubt", "interrupted", "time-limit"})
"""What only the engine can know of an attempt; an executor that says so has broken its port."""

TRANSIENT: Final[frozenset[str]] = frozenset(
    {
        "connect",
        "connection-lost",
        "rate-limit",
        "server-error",
        "timeout",
        "executor-crashed",
        "empty-reply",
        "interrupted",
    }
)

NOT_BEGUN: Final[frozenset[str]] = frozenset(
    {
        "auth",
        "budget",
        "connect",
        "egress-refused",
        "executor-changed",
        "executor-missing",
        "isolation-missing",
        "not-found",
        "rate-limit",
        "sampling-missing",
    }
)
"""Errors after which the work is known not to have begun: only these let a task with effects ``once`` run again."""
