"""Take every optional step around an answer, with context, offline: ``python docs/examples/steps.py``.

The settings are those of docs/examples/steps/forum.toml, whose replies are fixed; docs/how-to/check-the-answer.md says
what each step does.
"""

import sys
from pathlib import Path

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load

REQUEST = "Why do leaves turn yellow in October?"
FILE = Path(__file__).parent / "steps" / "forum.toml"


async def main() -> bool:
    """Run the request and return whether its ledger verifies and the steps found what they should."""
    settings = load(Flags(config=str(FILE), ledger=":memory:"))
    async with Orchestrator.open(settings) as forum:
        run = await forum.submit(
            REQUEST, single=True, classify=True, intent=True, delivery=True, verification=True, context=["style"]
        )
        print(f"lane {run.lane}, by {run.route_by}")
        for given in run.context:
            print(f"context {given.name}: {given.chars} characters, entry {given.entry}")
        print(run.answer)
        print(run.review)

        for entry in forum.ledger.show(run_id=run.run_id, limit=100).entries:
            if entry.kind.startswith(("answer.", "context.")):
                print(f"{entry.seq} {entry.kind} {entry.data}")
        verified = forum.ledger.verify(level=4, checkpoint=run.checkpoint)
        print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
    review = run.review
    return verified.clean and review is not None and (review.revised, review.verified) == (True, "passed")


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
