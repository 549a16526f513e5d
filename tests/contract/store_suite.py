"""What every store must do. A module per store defines the fixture ``store`` and imports the tests from here."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from forum_mcp.errors import EntryRefused, NotFound
from forum_mcp.ledger import merkle
from forum_mcp.ledger.entry import (
    Body,
    BodyRef,
    Draft,
    NewBody,
    RunId,
    commitment,
    decode,
    genesis_prev,
    leaf_hash,
)
from forum_mcp.stores.base import Lease, RunRow, Store, Stored, Transaction

RUN = RunId("0a" * 16)
OTHER = RunId("0b" * 16)
GENESIS = Draft("ledger.opened", "engine", {"format": 1, "software": "a test", "vkey": ""})
TEXT = "text/plain; charset=utf-8"
HOSTILE = ("\x00", "\x85", "\u2028 \u2029", "\x1f\x1e", "é ß 漢 😀", '"\\', "\ufeff", "\uffff", "{}\n[]")


class Word(str):
    """A string the encoder does not take."""


class Stop(Exception):
    """Raised by a work that changes its mind."""


def draft(kind: str = "call.finished", **members: object) -> Draft:
    return Draft(kind, "executor:test", members)


def add(store: Store, what: Draft, run: RunId | None = None) -> Stored:
    return store.transact(lambda transaction: transaction.append(what, run=run, at_us=1_700_000_000_000_000))


def adding(what: Draft, run: RunId | None = None) -> Callable[[Transaction], Stored]:
    return lambda transaction: transaction.append(what, run=run, at_us=1)


def assert_whole(store: Store) -> None:
    """Chain, tree and bodies of a store, recomputed by the plainest means there are."""
    leaves: list[bytes] = []
    prev = genesis_prev(store.ledger_id)
    for seq, raw in store.raw_entries():
        entry = decode(raw)
        assert (seq, entry.seq, entry.prev) == (len(leaves), seq, prev)
        leaves.append(leaf_hash(raw))
        prev = leaves[-1].hex()
    assert store.size() == len(leaves)
    expected = [(0, index, leaf) for index, leaf in enumerate(leaves)]
    level, row = 1, leaves
    while len(row) > 1:
        row = [sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)]
        expected += [(level, index, node) for index, node in enumerate(row)]
        level += 1
    assert list(store.raw_nodes()) == expected
    for commit, media_type, salt, plain in store.raw_bodies():
        assert plain is not None
        assert commitment(salt, media_type, plain) == commit
    assert list(store.index_faults()) == []


def test_a_new_ledger_holds_entry_0_and_nothing_else(store: Store) -> None:
    assert store.size() == 1
    assert store.entry(0).entry.kind == "ledger.opened"
    assert store.entry(0).entry.prev == genesis_prev(store.ledger_id)
    assert not store.read_only
    assert_whole(store)


def test_an_entry_is_read_back_as_the_exact_bytes_that_were_hashed(store: Store) -> None:
    written = add(store, draft(t_ms=5, note="plain"), RUN)
    read = store.entry(written.entry.seq)
    assert read == written
    assert leaf_hash(read.raw) == read.leaf
    assert list(store.raw_entries(1)) == [(1, read.raw)]
    assert read.entry.data == {"note": "plain", "t_ms": 5}


def test_a_draft_changed_afterwards_changes_nothing(store: Store) -> None:
    members: dict[str, object] = {"list": [1]}
    written = add(store, Draft("x.y", "a", members))
    members["list"] = [2]
    assert written.entry.data == {"list": [1]}
    assert store.entry(1).entry.data == {"list": [1]}


def test_many_entries_in_one_transaction_and_in_many_give_one_chain(store: Store) -> None:
    for count in (1, 2, 5, 9):
        store.transact_all([adding(draft(n=n), RUN) for n in range(count)])
    for n in range(20):
        add(store, draft(n=n), OTHER)
    assert store.size() == 38
    assert_whole(store)


def test_a_transaction_sees_what_it_appended_and_nobody_else_does_before_it_ends(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        assert transaction.size == 1
        assert transaction.newest(RUN) is None
        first = transaction.append(draft(n=1), run=RUN, at_us=1)
        second = transaction.append(Draft("x.y", "a", {}, {}, (1,)), run=RUN, at_us=1)
        assert (first.entry.seq, second.entry.seq, transaction.size) == (1, 2, 3)
        assert transaction.newest(RUN) == 2
        assert transaction.run_entries(RUN) == [first, second]
        assert transaction.run_entries(RUN, after=1) == [second]

    store.transact(work)
    assert store.newest(RUN) == 2


def test_a_work_that_raises_leaves_no_trace(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        transaction.append(Draft("x.y", "a", {}, {"b": NewBody(TEXT, b"gone")}), run=RUN, at_us=1)
        transaction.set_lease(Lease(RUN, "me", 1, 10))
        raise Stop

    with pytest.raises(Stop):
        store.transact(work)
    assert store.size() == 1
    assert list(store.raw_bodies()) == []
    assert store.lease(RUN) is None
    add(store, draft())
    assert_whole(store)


def test_one_work_of_several_that_raises_is_undone_alone(store: Store) -> None:
    def fails(transaction: Transaction) -> None:
        transaction.append(Draft("x.y", "a", {"n": 99}, {"b": NewBody(TEXT, b"gone")}), run=RUN, at_us=1)
        transaction.append(draft(n=100), run=RUN, at_us=1)
        raise Stop("no")

    first, second, third = store.transact_all([adding(draft(n=1), RUN), fails, adding(draft(n=2), RUN)])
    assert isinstance(first, Stored)
    assert isinstance(second, Stop)
    assert isinstance(third, Stored)
    assert [stored.entry.data for stored in store.run_entries(RUN)] == [{"n": 1}, {"n": 2}]
    assert list(store.raw_bodies()) == []
    assert_whole(store)


def test_a_body_that_an_undone_work_had_found_again_is_stored_anew(store: Store) -> None:
    noted = Draft("x.noted", "test", {}, {"b": NewBody(TEXT, b"words" * 99)})

    def fails(transaction: Transaction) -> None:
        transaction.set_lease(Lease(RUN, "me", 1, 10))
        transaction.append(noted, run=RUN, at_us=1)
        # Nothing stands under that commitment; but what was appended before is written, to look.
        transaction.redact(Draft("body.redacted", "test", {"commit": "0" * 64}), run=None, at_us=1)
        transaction.append(noted, run=RUN, at_us=1)
        raise Stop

    undone, kept = store.transact_all([fails, adding(noted, RUN)])
    assert isinstance(undone, Stop)
    assert isinstance(kept, Stored)
    assert store.body_state(kept.entry.bodies["b"].commit).state == "present"
    assert_whole(store)


def test_a_body_that_was_found_and_then_redacted_in_one_transaction_is_stored_anew(store: Store) -> None:
    noted = Draft("x.noted", "test", {}, {"b": NewBody(TEXT, b"words" * 99)})
    first = add(store, noted)

    def work(transaction: Transaction) -> Stored:
        again = transaction.append(noted, run=None, at_us=1)
        commit = again.entry.bodies["b"].commit
        assert commit == first.entry.bodies["b"].commit
        reason = {"reason": NewBody(TEXT, b"asked")}
        redacted = Draft("body.redacted", "test", {"commit": commit}, reason, (again.entry.seq,))
        assert transaction.redact(redacted, run=None, at_us=1) is not None
        return transaction.append(noted, run=None, at_us=1)

    anew = store.transact(work)
    assert store.body_state(first.entry.bodies["b"].commit).state == "redacted"
    assert store.body_state(anew.entry.bodies["b"].commit).state == "present"
    assert_whole(store)


def test_a_refused_append_that_a_work_catches_leaves_no_orphan(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        with pytest.raises(EntryRefused):
            transaction.append(Draft("x.y", "a", {"f": 1.5}, {"b": NewBody(TEXT, b"kept?")}), run=None, at_us=1)
        transaction.append(draft(), run=None, at_us=1)

    store.transact(work)
    assert store.size() == 2
    assert list(store.raw_bodies()) == []


def test_equal_bodies_are_stored_once_and_a_type_makes_another(store: Store) -> None:
    first = add(store, Draft("x.y", "a", {}, {"p": NewBody(TEXT, b"yes"), "q": NewBody(TEXT, b"yes")}))
    second = add(store, Draft("x.y", "a", {}, {"r": NewBody(TEXT, b"yes"), "s": NewBody("text/html", b"yes")}))
    refs = {**first.entry.bodies, **second.entry.bodies}
    assert refs["p"] == refs["q"] == refs["r"] != refs["s"]
    assert len(list(store.raw_bodies())) == 2
    assert_whole(store)


@pytest.mark.parametrize(
    "plain",
    [b"", b"x", b"a" * 255, b"ab" * 200, bytes(range(256)) * 3, b"\x00" * 10_000_000, "".join(HOSTILE).encode()],
    ids=len,
)
def test_a_body_of_any_bytes_and_size_comes_back(store: Store, plain: bytes) -> None:
    reference = add(store, Draft("x.y", "a", {}, {"b": NewBody(TEXT, plain)})).entry.bodies["b"]
    assert reference.size == len(plain)
    body = store.body(reference.commit)
    assert isinstance(body, Body)
    assert (body.commit, body.type, body.data, len(body.salt)) == (reference.commit, TEXT, plain, 32)
    assert_whole(store)


def test_a_body_is_committed_with_a_salt_of_its_own(store: Store) -> None:
    one, two = (
        add(store, Draft("x.y", "a", {}, {"b": NewBody(TEXT, text)})).entry.bodies["b"] for text in (b"1", b"2")
    )
    salts = [store.body(reference.commit).salt for reference in (one, two)]  # type: ignore[union-attr]
    assert salts[0] != salts[1]


def test_a_body_may_be_cited_again_and_a_foreign_one_may_not(store: Store) -> None:
    reference = add(store, Draft("x.y", "a", {}, {"b": NewBody(TEXT, b"once")})).entry.bodies["b"]
    again = add(store, Draft("x.y", "a", {}, {"c": reference}))
    assert again.entry.bodies == {"c": reference}
    for foreign in (
        BodyRef("0" * 64, 4, TEXT),
        BodyRef(reference.commit, 5, TEXT),
        BodyRef(reference.commit, 4, "text/html"),
        BodyRef("not hex", 4, TEXT),
        BodyRef(reference.commit.upper(), 4, TEXT),
    ):
        with pytest.raises(EntryRefused):
            add(store, Draft("x.y", "a", {}, {"c": foreign}))
    assert store.size() == 3


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_survives_in_actor_data_and_body(store: Store, text: str) -> None:
    what = Draft("x.y", f"a{text}", {"text": text}, {"b": NewBody(TEXT, text.encode())})
    entry = store.entry(add(store, what, RUN).entry.seq).entry
    assert entry.actor == f"a{text}"
    assert entry.data == {"text": text}
    assert store.body(entry.bodies["b"].commit).data == text.encode()  # type: ignore[union-attr]
    assert_whole(store)


@pytest.mark.parametrize(
    ("what", "word"),
    [
        (Draft("Bad.Kind", "a"), "kind"),
        (Draft("undotted", "a"), "kind"),
        (Draft("x." + "y" * 100, "a"), "kind"),
        (Draft("x.y", ""), "actor"),
        (Draft("x.y", "a" * 201), "actor"),
        (Draft("x.y", "a\ud800"), "surrogate"),
        (Draft("x.y", "a", {"t": "\udfff"}), "surrogate"),
        (Draft("x.y", "a", {"n": 2**53}), r"2\^53"),
        (Draft("x.y", "a", {"n": 0.5}), "float"),
        (Draft("x.y", "a", {"é": 1}), "ASCII"),
        (Draft("x.y", "a", {"w": Word("s")}), "plain"),
        (Draft("x.y", "a", {"n": b"bytes"}), "bytes"),
        (Draft("x.y", "a", {"n": {1: 2}}), "ASCII"),
        (Draft("x.y", "a", {"long": "x" * 65_536}), "65535"),
        (Draft("x.y", "a", {}, {}, (0, 0)), "parents"),
        (Draft("x.y", "a", {}, {}, (1,)), "parents"),
        (Draft("x.y", "a", {}, {}, (-1,)), "parents"),
        (Draft("x.y", "a", {}, {}, (False,)), "parents"),
        (Draft("x.y", "a", {}, {"é": NewBody(TEXT, b"")}), "ASCII"),
        (Draft("x.y", "a", {}, {"b": NewBody("Text/Plain", b"")}), "media type"),
        (Draft("x.y", "a", {}, {"b": NewBody("", b"")}), "media type"),
        (Draft("x.y", "a", {}, {"b": NewBody("a b", b"")}), "media type"),
        (Draft("x.y", "a", {}, {"b": NewBody("t/\n", b"")}), "media type"),
        (Draft("x.y", "a", {}, {"b": NewBody("t" * 101, b"")}), "media type"),
    ],
    ids=range(24),
)
def test_an_entry_outside_the_format_is_refused_with_the_reason(store: Store, what: Draft, word: str) -> None:
    with pytest.raises(EntryRefused, match=word):
        add(store, what)
    assert store.size() == 1
    assert list(store.raw_bodies()) == []


def test_a_run_id_or_a_time_outside_the_format_is_refused(store: Store) -> None:
    for run, at_us in ((RunId("X" * 32), 1), (RunId(""), 1), (None, -1), (None, 2**53), (None, True)):
        with pytest.raises(EntryRefused):
            store.transact(lambda transaction, run=run, at_us=at_us: transaction.append(draft(), run=run, at_us=at_us))  # type: ignore[misc]
    assert store.size() == 1


def test_256_parents_are_kept_and_257_refused(store: Store) -> None:
    store.transact_all([adding(draft(n=n)) for n in range(260)])
    assert len(add(store, Draft("x.y", "a", {}, {}, tuple(range(256)))).entry.parents) == 256
    with pytest.raises(EntryRefused, match="parents"):
        add(store, Draft("x.y", "a", {}, {}, tuple(range(257))))


def test_an_entry_of_65535_bytes_is_kept_and_one_more_refused(store: Store) -> None:
    spare = 65_535 - len(add(store, draft(fill="")).raw)
    assert len(add(store, draft(fill="x" * spare)).raw) == 65_535
    with pytest.raises(EntryRefused, match="65536 bytes"):
        add(store, draft(fill="x" * (spare + 1)))


def test_what_is_not_there_is_said_so(store: Store) -> None:
    for seq in (-1, 1, 10**9, 2**70):
        with pytest.raises(NotFound):
            store.entry(seq)
    for level, index in ((0, 1), (1, 0), (5, 0), (-1, 0)):
        with pytest.raises(NotFound):
            store.node(level, index)
    assert store.body("0" * 64) is None
    assert store.body("no hex") is None
    for run in (RUN, RunId("\ud800"), RunId("")):
        assert store.newest(run) is None
        assert store.run_entries(run, after=-(2**70)) == []
        assert store.lease(run) is None
    assert store.runs(2**70, before=2**70) == []
    assert list(store.raw_entries(2**70)) == []
    assert store.lease(RUN) is None
    assert store.newest_of_kind("checkpoint.signed") is None


def test_a_run_cites_a_body_by_an_entry_that_refers_to_it_and_by_none_that_only_names_it(store: Store) -> None:
    cited = add(store, Draft("note.made", "a", {}, {"text": NewBody(TEXT, b"words")}), RUN).entry.bodies["text"].commit
    add(store, Draft("note.made", "a", {"commit": cited}, {}), OTHER)
    assert store.cites([OTHER, RUN], cited)
    assert not store.cites([OTHER], cited)
    assert not store.cites([], cited)
    assert not store.cites([RunId(run) for run in ("", "\ud800", "0c" * 16)], cited)
    assert not any(store.cites([RUN], commit) for commit in ("", "0" * 64, "\ud800", cited[:-1]))


def test_runs_are_listed_newest_first_and_paged(store: Store) -> None:
    ids = [RunId(f"{n:032x}") for n in range(5)]
    for run in ids:
        add(store, draft("run.started"), run)
        add(store, draft("run.finished"), run)
    add(store, draft("run.started"), None)
    page = store.runs(2)
    assert page == [RunRow(ids[4], 9), RunRow(ids[3], 7)]
    assert store.runs(10, before=page[-1].first_seq) == [RunRow(ids[n], 1 + 2 * n) for n in (2, 1, 0)]


def test_the_newest_of_an_indexed_kind_is_found(store: Store) -> None:
    for n in range(3):
        add(store, draft("checkpoint.signed", size=n))
        add(store, draft("key.rotated", vkey=str(n)))
    for kind, seq in (("checkpoint.signed", 5), ("key.rotated", 6)):
        newest = store.newest_of_kind(kind)
        assert newest is not None
        assert newest.entry.seq == seq


def test_a_lease_is_one_row_outside_the_chain(store: Store) -> None:
    store.transact(lambda transaction: transaction.set_lease(Lease(RUN, "me", 1, 10)))
    assert store.lease(RUN) == Lease(RUN, "me", 1, 10)
    store.transact(lambda transaction: transaction.set_lease(Lease(RUN, "you", 2, 20)))
    store.transact(lambda transaction: transaction.drop_lease(RUN, 1))
    assert store.lease(RUN) == Lease(RUN, "you", 2, 20)
    store.transact(lambda transaction: transaction.drop_lease(RUN, 2))
    assert store.lease(RUN) == store.transact(lambda transaction: transaction.lease(RUN)) == Lease(RUN, "you", 2, 0)
    assert store.size() == 1


def test_proofs_are_made_from_stored_nodes_at_every_size(store: Store) -> None:
    store.transact_all([adding(draft(n=n)) for n in range(20)])
    leaves = [leaf_hash(raw) for _, raw in store.raw_entries()]
    for size in range(1, len(leaves) + 1):
        root = merkle.root(leaves[:size])
        assert merkle.root_from_nodes(size, store.node) == root
        for seq in range(size):
            proof = merkle.inclusion_proof(seq, size, store.node)
            assert merkle.verify_inclusion(seq, size, leaves[seq], proof, root)


def test_the_head_is_the_committed_tree_after_each_append_and_undone_work(store: Store) -> None:
    def fails(transaction: Transaction) -> None:
        transaction.append(draft(n=0), run=None, at_us=1)
        raise ValueError("undone")

    for n in range(1, 18):
        store.transact_all([fails, adding(draft(n=n)), fails])
        leaves = [leaf_hash(raw) for _, raw in store.raw_entries()]
        assert store.head() == (n + 1, merkle.root(leaves), store.change_token())
        with store.snapshot():
            assert store.head().root == merkle.root(leaves)
        with pytest.raises(ValueError, match="undone"):
            store.transact(fails)
        assert store.head().root == merkle.root(leaves)


def test_a_snapshot_shows_one_size_while_entries_are_appended(store: Store) -> None:
    with store.snapshot():
        size = store.size()
        with store.snapshot():
            assert store.size() == size
        assert len(list(store.raw_entries())) == size
    add(store, draft())
    assert store.size() == size + 1


def test_a_range_of_entries_is_read_and_may_be_left_early(store: Store) -> None:
    store.transact_all([adding(draft(n=n)) for n in range(1200)])
    assert [seq for seq, _ in store.raw_entries(500, 1100)] == list(range(500, 1100))
    assert list(store.raw_entries(5, 5)) == []
    assert next(iter(store.raw_entries(700)))[0] == 700
    add(store, draft())
    assert store.size() == 1202


def test_own_commits_do_not_change_the_token(store: Store) -> None:
    token = store.change_token()
    add(store, draft())
    assert store.change_token() == token


def test_closing_twice_is_harmless(store: Store) -> None:
    store.close()
    store.close()


def test_a_redacted_body_is_gone_with_its_entry_or_not_at_all(store: Store) -> None:
    stored = add(store, Draft("x.noted", "test", {}, {"b": NewBody(TEXT, b"words" * 99)}))
    commit = stored.entry.bodies["b"].commit
    reason = {"reason": NewBody(TEXT, b"asked")}
    redacted = Draft("body.redacted", "test", {"commit": commit}, reason, (stored.entry.seq,))

    def undone(transaction: Transaction) -> None:
        transaction.redact(redacted, run=None, at_us=1)
        raise Stop

    with pytest.raises(Stop):
        store.transact(undone)
    assert store.body_state(commit).state == "present"
    done = store.transact(lambda transaction: transaction.redact(redacted, run=None, at_us=1))
    assert done is not None
    assert store.body(commit) is None
    found = store.body_state(commit)
    assert (found.state, found.redacted_by) == ("redacted", done.entry.seq)
    assert store.body_state("0" * 64).state == store.body_state("no hash").state == "missing"
    size = store.size()
    assert store.transact(lambda transaction: transaction.redact(redacted, run=None, at_us=1)) is None
    assert store.size() == size
    again = add(store, Draft("x.noted", "test", {}, {"b": NewBody(TEXT, b"words" * 99)}))
    assert again.entry.bodies["b"].commit != commit
    assert list(store.index_faults()) == []
    assert_whole(store)


def test_the_ledger_opened_anew_shows_what_is_committed_now(store: Store) -> None:
    with store.snapshot(), store.anew() as fresh:
        assert fresh.size() == store.size()
