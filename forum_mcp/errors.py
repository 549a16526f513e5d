"""Every exception of forum-mcp, in one tree.

ForumError
├── InvalidInput              the caller's input is refused; nothing was recorded     (exit 2)
│   ├── RequestRefused        an empty or oversized request, a bad argument
│   ├── PlanRefused           a plan that is not a valid DAG of permitted lanes
│   ├── RosterRefused         a roster file with a fault; names file and line
│   ├── ConfigRefused         a setting that does not exist or has the wrong type
│   └── NoModel               the operation needs an executor and none is configured
├── NotFound                  a run, entry, body or work item that the record does not hold  (exit 2)
├── AppendRefused             an append the record must not take                      (exit 1)
│   ├── StaleAppend           the run has newer entries than the ones folded: fold on and decide again
│   ├── Fenced                another process holds the run's lease by now
│   ├── AttemptClosed         the attempt already has its outcome
│   ├── GateClosed            the gate is resolved, or its deadline has passed
│   └── EntryRefused          the entry breaks the format (size, members, parents, subset of JSON)
│       └── DecisionRefused   the rules decided what breaks the format: the run stops where it is
├── AccessRefused             the principal's token has not the scope it takes        (exit 2)
├── NestedRefused             an agent of another forum wants to begin a run here     (exit 2)
├── RunHeld                   another live process holds the run                      (exit 1)
├── ExecutorsDiffer           the run was begun with executors this process has not   (exit 2)
└── LedgerError               the ledger itself cannot be used                        (exit 3)
    ├── LedgerMissing         no ledger at that path; none was created
    ├── LedgerUnreadable      not a ledger, damaged beyond opening, or from the future
    ├── LedgerReadOnly        opened read-only, or made so by a failed fsync
    ├── LedgerLocked          another process holds the write lock, and does not let go
    ├── CheckpointRefused     the ledger is not a continuation of what its signer signed last
    └── NoteError             a signed note that is malformed or whose signature fails

Each class has a stable kebab-case ``code`` and an ``exit_code``. A failed task is data and a damaged ledger is a
list of findings: exceptions are for refusals only. Messages say what was refused, the value, what was expected and
what to do next; lower case, no full stop; never a secret, a prompt or a home directory.
"""

__all__ = [
    "AccessRefused",
    "AppendRefused",
    "AttemptClosed",
    "CheckpointRefused",
    "ConfigRefused",
    "DecisionRefused",
    "EntryRefused",
    "ExecutorsDiffer",
    "Fenced",
    "ForumError",
    "GateClosed",
    "InvalidInput",
    "LedgerError",
    "LedgerLocked",
    "LedgerMissing",
    "LedgerReadOnly",
    "LedgerUnreadable",
    "NestedRefused",
    "NoModel",
    "NotFound",
    "NoteError",
    "PlanRefused",
    "RequestRefused",
    "RosterRefused",
    "RunHeld",
    "StaleAppend",
]


class ForumError(Exception):
    """Base of every expected refusal."""

    code = "forum-error"
    exit_code = 1


class InvalidInput(ForumError):
    """The caller's input is refused; nothing was recorded."""

    code = "invalid-input"
    exit_code = 2


class RequestRefused(InvalidInput):
    """A request or an argument of one is refused."""

    code = "request-refused"


class PlanRefused(InvalidInput):
    """A plan is not a valid DAG of permitted lanes."""

    code = "plan-refused"


class RosterRefused(InvalidInput):
    """A roster has a fault; the message names file and line."""

    code = "roster-refused"


class ConfigRefused(InvalidInput):
    """A setting does not exist or has the wrong type."""

    code = "config-refused"


class NoModel(InvalidInput):
    """The operation needs an executor and none is configured."""

    code = "no-model"


class AccessRefused(ForumError):
    """The principal may not do this."""

    code = "access-refused"
    exit_code = 2


class NestedRefused(ForumError):
    """A run below another forum, whose executor did not allow that."""

    code = "nested-refused"
    exit_code = 2


class NotFound(ForumError):
    """The record holds no such run, entry, body or work item."""

    code = "not-found"
    exit_code = 2


class AppendRefused(ForumError):
    """The record must not take this append."""

    code = "append-refused"


class StaleAppend(AppendRefused):
    """The run has newer entries than the ones that were folded."""

    code = "stale-append"


class Fenced(AppendRefused):
    """Another process holds the run's lease by now."""

    code = "fenced"


class AttemptClosed(AppendRefused):
    """The attempt already has its outcome."""

    code = "attempt-closed"


class GateClosed(AppendRefused):
    """The gate is resolved already, or its deadline has passed."""

    code = "gate-closed"


class EntryRefused(AppendRefused):
    """The entry breaks the ledger format."""

    code = "entry-refused"


class DecisionRefused(EntryRefused):
    """The rules decided what breaks the ledger format."""

    code = "decision-refused"


class RunHeld(ForumError):
    """Another live process holds the run."""

    code = "run-held"


class ExecutorsDiffer(ForumError):
    """The run was begun with executors that this process does not have, or has otherwise."""

    code = "executors-differ"
    exit_code = 2


class LedgerError(ForumError):
    """The ledger itself cannot be used."""

    code = "ledger-error"
    exit_code = 3


class LedgerMissing(LedgerError):
    """No ledger at that path; none was created."""

    code = "ledger-missing"


class LedgerUnreadable(LedgerError):
    """Not a ledger, damaged beyond opening, or of a format from the future."""

    code = "ledger-unreadable"


class LedgerReadOnly(LedgerError):
    """The ledger was opened read-only, or became so after a failed fsync."""

    code = "ledger-read-only"


class LedgerLocked(LedgerError):
    """Another process holds the write lock, and does not let go."""

    code = "ledger-locked"

    def __init__(self, waited_s: float) -> None:
        """Take how long it was waited for, seconds."""
        super().__init__(
            f"the ledger has been locked by another process for {waited_s:g} s, expected milliseconds; find the "
            "process that holds it open and end it, then try again"
        )
        self.waited_s = waited_s


class CheckpointRefused(LedgerError):
    """The ledger is not a continuation of what its signer signed last: rolled back, or rewritten."""

    code = "checkpoint-refused"


class NoteError(LedgerError):
    """A signed note is malformed, or no signature of a known key verifies."""

    code = "note-error"
