"""A run's record in memory: it plays the engine's part with no store, clock, process or network.

Drafts become entries as a ledger would hold them (canonical bytes, seq, parents, bodies by commitment), the state is
folded from what was recorded, and ``decide`` is asked until it has nothing more to say. What comes from outside (an
outcome, a timer, a cancel, a process that takes the run up again) is a method.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from forum_mcp.ledger.entry import BodyRef, Draft, Entry, LedgerId, NewBody, RunId, decode
from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.ledger.kinds.call import CallFinished
from forum_mcp.ledger.kinds.run import RunResumed, RunStarted
from forum_mcp.ledger.members import seal
from forum_mcp.rules.calls import JSON, TEXT
from forum_mcp.rules.contract import ContextTerms, Contract, ExecutorTerms, Gates, LaneTerms, Steps
from forum_mcp.rules.gates import due
from forum_mcp.rules.lanes import Lane, Roster
from forum_mcp.rules.next import VERSIONS, decide, next_deadline_ms
from forum_mcp.rules.policy import Policy
from forum_mcp.rules.run import RunState
from forum_mcp.rules.state import evolve, fold

RUN: Final = RunId("5" * 32)
ROSTER: Final = Roster(
    {
        lane.name: lane
        for lane in (
            Lane("backend", "engineering", "Servers and what they keep.", ("api", "database", "endpoint")),
            Lane("writing", "support", "Texts for people.", ("readme", "guide", "docs")),
            Lane("general", "general", "What fits no other lane.", ()),
        )
    }
)

_DECISIONS_MAX: Final = 2_000


def terms(**changes: object) -> ExecutorTerms:
    """Return the terms of an executor, some of them changed."""
    plain = ExecutorTerms(
        type="scripted",
        model="m",
        egress="none",
        identity={},
        timeout_ms=60_000,
        max_tokens=None,
        attempts=2,
        max_parallel=4,
        input_bytes=4_000,
        effects="none",
    )
    return msgspec.structs.replace(plain, **changes)


def contract(
    executors: Mapping[str, ExecutorTerms] | None = None,
    *,
    policy: Policy | None = None,
    max_parallel: int = 4,
    single: bool = False,
    task_limits: Amounts | None = None,
    day_limits: Amounts | None = None,
    steps: Steps | None = None,
    lanes: Mapping[str, LaneTerms] | None = None,
    gates: Gates | None = None,
    context: Sequence[str] = (),
    **ladders: list[str],
) -> Contract:
    """Return a contract; a role without a ladder is played by rules, the worker by the executor ``m``.

    ``context``: names of providers; the first concerns the lane ``backend`` alone.
    """
    readers = {f"context:{name}": terms(type="context", attempts=1, max_parallel=1) for name in context}
    roles = {role: ladders.get(role, ["rules"]) for role in ("coordinator", "validator", "synthesizer")}
    return Contract(
        executors={**(executors or {"m": terms()}), **readers},
        roles={"worker": ["m"], **roles, **ladders},
        steps=steps or Steps(escalate=True),
        lanes=dict(lanes or {}),
        policy=policy or Policy(),
        max_parallel=max_parallel,
        single=single,
        task_limits=task_limits or Amounts(),
        day_limits=day_limits or Amounts(),
        gates=gates or Gates(),
        context={
            name: ContextTerms(max_chars=50, lanes=[] if index else ["backend"]) for index, name in enumerate(context)
        },
    )


def plan_json(*tasks: tuple[str, list[str]]) -> bytes:
    """Return a plan as its author writes it: (id, dependencies)."""
    written = [{"id": i, "lane": "backend", "instruction": f"do {i}", "depends_on": needs} for i, needs in tasks]
    return msgspec.json.encode({"tasks": written})


class Record:
    """One run: its entries, its bodies and the state they fold to."""

    def __init__(
        self,
        contract: Contract,
        *,
        request: str = "do it",
        plan: bytes | None = None,
        limits: Amounts | None = None,
        mode: str = "submit",
        lane: str | None = None,
    ) -> None:
        self.entries: list[Entry] = []
        self.state = RunState(RUN)
        self.now_ms = 0
        self._bodies: dict[str, bytes] = {}
        self._next_seq = 1
        started = RunStarted(
            mode=mode,
            fence=1,
            seed="7" * 64,
            rules=VERSIONS,
            environment={},
            limits=limits or Amounts(),
            lane=lane,
        )
        bodies: dict[str, NewBody | BodyRef] = {
            "request": NewBody(TEXT, request.encode()),
            "contract": NewBody(JSON, contract.to_json()),
            "roster": NewBody(JSON, ROSTER.to_json()),
        }
        if plan is not None:
            bodies["plan"] = NewBody(JSON, plan)
        self._append(Draft("run.started", "person", msgspec.to_builtins(started), bodies))
        self.settle()

    def bodies(self, entry: Entry) -> Callable[[str], bytes | None]:
        """Return a reader of the entry's bodies by name."""
        return lambda name: self._bodies.get(entry.bodies[name].commit) if name in entry.bodies else None

    def text(self, entry: Entry, name: str) -> str:
        """Return a body of the entry as text."""
        data = self.bodies(entry)(name)
        assert data is not None, f"entry {entry.seq} ({entry.kind}) has no body {name}"
        return data.decode()

    def of_kind(self, kind: str) -> list[Entry]:
        """Return the entries of a kind, oldest first."""
        return [entry for entry in self.entries if entry.kind == kind]

    def refold(self, before: int | None = None) -> RunState:
        """Return the state folded anew from the recorded entries, those with seq < ``before``."""
        kept = [entry for entry in self.entries if before is None or entry.seq < before]
        return fold(RUN, [(entry, self.bodies(entry)) for entry in kept])

    def report(self, *drafts: Draft) -> None:
        """Append what came from outside, then every decision it makes possible."""
        for draft in drafts:
            self._append(draft)
        self.settle()

    def settle(self) -> None:
        """Append decisions until there is nothing to decide."""
        for _ in range(_DECISIONS_MAX):
            self.look()
            draft = decide(self.state)
            if draft is None:
                return
            self._append(draft)
        raise AssertionError(f"decisions without end, the newest: {[entry.kind for entry in self.entries[-3:]]}")

    def look(self) -> None:
        """Read what a recorder reads just before a decision: here nothing."""

    def answer(
        self,
        call: int | None = None,
        reply: str | None = None,
        error: str | None = None,
        *,
        tokens: int | None = None,
        retry_after_ms: int | None = None,
        tokens_out: int | None = None,
        cost: int | None = None,
        **said: object,
    ) -> None:
        """Give an open call (default: the oldest) its outcome; ``said``: more members of it."""
        seq = next(iter(self.state.open)) if call is None else call
        item = self.state.open[seq]
        outcome = CallFinished(
            call=seq,
            error=error,
            tokens_in=tokens,
            tokens_out=tokens if tokens_out is None else tokens_out,
            cost_microusd=tokens if cost is None else cost,
            retry_after_ms=retry_after_ms,
        )
        data = msgspec.to_builtins(msgspec.structs.replace(outcome, **said))
        bodies: dict[str, NewBody | BodyRef] = {} if not reply else {"reply": NewBody(TEXT, reply.encode())}
        if item.type != "host":
            self.report(Draft("call.finished", f"executor:{item.executor}", data, bodies, (seq,)))
            return
        returned = Draft("work.returned", "host:h", {"call": seq}, {}, (max(item.offered_seq, item.taken_seq),))
        self.report(returned, Draft("call.finished", "host:h", data, bodies, (seq, self._next_seq)))

    def take(self, call: int, lease_ms: int = 1_000) -> None:
        """Let an assistant take a host call."""
        item = self.state.open[call]
        until_us = (self.now_ms + lease_ms) * 1_000
        data = {"call": call, "lease_until_us": until_us}
        self.report(Draft("work.taken", "host:h", data, {}, (item.offered_seq,)))

    def expire(self, call: int) -> None:
        """Let the lease on a taken host call run out."""
        self.report(Draft("work.expired", "engine", {"call": call}, {}, (self.state.open[call].taken_seq,)))

    def fire(self) -> None:
        """Let time pass until the nearest deadline, and report it."""
        deadline = next_deadline_ms(self.state)
        closing = due(self.state)
        if deadline is None and closing is not None:
            self.now_ms = max(self.now_ms, closing[0] // 1_000)
            self.report(Draft("timer.fired", "engine", {"due_us": closing[0]}, {}, (closing[1],)))
            return
        assert deadline is not None
        due_ms, seq = deadline
        self.now_ms = max(self.now_ms, due_ms)
        self.report(Draft("timer.fired", "engine", {"due_ms": due_ms}, {}, (seq,)))

    def resolve(self, gate: int, *, approved: bool, scope: str = "once") -> None:
        """Let a person resolve a gate."""
        data = {
            "gate": gate,
            "approved": approved,
            "digest": self.state.gates[gate].digest,
            "how": "terminal",
            "scope": scope,
        }
        self.report(Draft("gate.resolved", "person", data, {}, (gate,)))

    def cancel(self) -> None:
        """Report that somebody asked for the run's end."""
        self.report(Draft("run.cancelled", "person", {}, {}, (self.state.started_seq,)))

    def interrupt(self) -> None:
        """Let the process that holds the run let it go in order: its calls end as interrupted, nothing is decided."""
        for seq, item in list(self.state.open.items()):
            if item.type != "host":
                data = {"call": seq, "error": "interrupted"}
                self._append(Draft("call.finished", f"executor:{item.executor}", data, {}, (seq,)))
        data = {"fence": self.state.fence, "reason": "asked"}
        self._append(Draft("run.interrupted", "engine", data, {}, (self.state.started_seq,)))

    def resume(self, mode: str | None = None) -> None:
        """Take the run up in a new process: its state is folded anew, what was open here is in doubt."""
        self.state = self.refold()
        doubtful = [seq for seq, item in self.state.open.items() if item.type != "host"]
        data = RunResumed(fence=self.state.fence + 1, in_doubt=doubtful, mode=mode)
        self.report(Draft("run.resumed", "engine", msgspec.to_builtins(data), {}, (self.state.started_seq,)))

    def elsewhere(self, count: int) -> None:
        """Let entries of other runs stand between this one's."""
        self._next_seq += count

    def _append(self, draft: Draft) -> None:
        refs: dict[str, BodyRef] = {}
        for name, body in draft.bodies.items():
            if isinstance(body, BodyRef):
                assert body.commit in self._bodies, f"{draft.kind} cites a body {name} that nobody recorded"
                refs[name] = body
                continue
            commit = sha256(f"{body.type}\n".encode() + body.data).hexdigest()
            self._bodies[commit] = body.data
            refs[name] = BodyRef(commit, len(body.data), body.type)
        self.now_ms = max(self.now_ms, self.state.t_ms)
        entry = Entry(
            actor=draft.actor,
            at=1_000 * self.now_ms,
            bodies=refs,
            data={**draft.data, "t_ms": self.now_ms},
            kind=draft.kind,
            ledger=LedgerId("a" * 32),
            parents=list(draft.parents),
            prev="0" * 64,
            run=RUN,
            seq=self._next_seq,
            v=1,
        )
        recorded = decode(seal(entry))
        self.entries.append(recorded)
        self._next_seq += 1
        self.state = evolve(self.state, recorded, self.bodies(recorded))
