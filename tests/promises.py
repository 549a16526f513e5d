"""What the README promises, and the id under which a test shows it.

Each text stands word for word in the README; each id is carried by a test as ``@pytest.mark.promise("id")``.
``tests/layout/test_promises.py`` fails when either side is orphaned.
"""

from typing import Final

__all__ = ["PROMISES"]

PROMISES: Final = {
    "routing-readable": "which lane, why, by which words; it abstains when unsure.",
    "own-lanes": "your own lanes in a TOML file.",
    "survives-kill": "`forum-mcp run resume ID` (or `--all`) goes on; finished tasks stay finished.",
    "bad-replies": "Prose instead of a plan, an empty answer, a command that hangs or floods: each is recorded,",
    "budgets": "reserved before a call, settled after it.",
    "one-hash": "one SHA-256 per entry is chain link and RFC 6962 leaf; texts are salted commitments;",
    "verify-decisions": "`ledger verify` recomputes everything, decisions included (`--level 4`), and says",
    "checkpoint-kept": "every result carries a signed checkpoint; handed back later, it exposes a ledger that was",
    "zero-config": "With no model configured your assistant itself does the tasks, handed out one by one",
    "same-facts": "Each takes `--json` and `--ledger PATH`.",
    "demo": "uvx forum-mcp demo # a guided tour: offline, in seconds, with no key, account or model",
}
