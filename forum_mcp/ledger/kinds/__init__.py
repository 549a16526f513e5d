"""The kinds of entries: one table of fields, bodies and parents.

A new kind is one Struct and one row in a module of this package. Unknown kinds are kept and shown, never fatal.
"""

from typing import Final

from forum_mcp.ledger.kinds import answer, call, context, custody, gate, plan, run, task
from forum_mcp.ledger.kinds.base import Kind

__all__ = ["KINDS"]

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        *custody.KINDS,
        *run.KINDS,
        *plan.KINDS,
        *context.KINDS,
        *gate.KINDS,
        *task.KINDS,
        *call.KINDS,
        *answer.KINDS,
    )
}
