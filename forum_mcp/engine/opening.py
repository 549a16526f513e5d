"""Opening a forum: from settings to the parts that work together, and their closing in order."""

import logging
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from forum_mcp.configs.paths import default_ledger
from forum_mcp.configs.settings import Settings
from forum_mcp.engine.assembly import contract_of, executors_of, roster_of
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.custody import growth
from forum_mcp.engine.event_scrubbing import scrubber_of
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.run_holder import RunHolder
from forum_mcp.executors.base import Executor
from forum_mcp.executors.sampler import Sampler
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.roster import Roster

__all__ = ["Parts", "opened"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What an open forum is made of.

    Attributes:
        settings: what it was opened with.
        ledger: the record, open.
        roster: the lanes.
        contract: the terms of a run for which nothing else is asked.
        holder: the runs this process holds, and the executors they call.
        clock: time and entropy.
        sampler: where questions to a client's model wait for a client.
    """

    settings: Settings
    ledger: Ledger
    roster: Roster
    contract: Contract
    holder: RunHolder
    clock: Clock
    sampler: Sampler


@asynccontextmanager
async def opened(
    settings: Settings, *, executors: Mapping[str, Executor] | None = None, clock: Clock | None = None
) -> AsyncGenerator[Parts]:
    """Hold the parts of a forum: the ledger open (made on first use), a place for runs; leaving lets them go in order.

    ``executors`` stand for the configured ones of their names.

    Raises:
        ConfigRefused, RosterRefused: the settings do not make a working whole.
        LedgerError: the ledger cannot be used.
    """
    clock = clock or Clock()
    roster = roster_of(settings)
    sampler = Sampler()
    built = executors_of(settings, executors or {}, sampler)
    scrubber = scrubber_of(settings, os.environ)
    contract = contract_of(settings, built, roster, scrubber)
    ledger = Ledger.open(
        settings.ledger or default_ledger(),
        now_us=clock.now_us,
        entropy=clock.entropy,
        checkpoint_every=settings.custody.checkpoint_every,
    )
    if (grown := growth(ledger, settings.custody.warn_mb)) is not None:
        _log.warning("%s", grown)
    holder = RunHolder(ledger, built, scrubber, clock)
    try:
        async with anyio.create_task_group() as group:
            await group.start(holder.watch)
            try:
                yield Parts(settings, ledger, roster, contract, holder, clock, sampler)
            finally:
                await holder.close()
                group.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:  # the caller's own error, which only passed through the group
            raise errors.exceptions[0] from None
        raise
    finally:
        with anyio.CancelScope(shield=True):
            for executor in built.values():
                await executor.aclose()
        ledger.close()
