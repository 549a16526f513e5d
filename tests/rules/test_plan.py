"""What is a plan, what is refused, and in which words."""

import re
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forum_mcp.errors import PlanRefused
from forum_mcp.rules.plan import TASKS_MAX, Dependency, Plan, accept, decode, from_json, read, single
from forum_mcp.rules.policy import Policy
from tests.rules.record import ROSTER

QUIET = settings(max_examples=150, deadline=None, derandomize=True, database=None)

Edges = dict[str, list[str]]


def task(name: str, *needs: object, **members: object) -> dict[str, object]:
    return {"id": name, "lane": "backend", "instruction": f"do {name}", "depends_on": list(needs), **members}


def accepted(*tasks: dict[str, object], policy: Policy | None = None) -> Plan:
    return accept(read({"tasks": list(tasks)}), ROSTER, policy or Policy())


def refused(*tasks: dict[str, object], policy: Policy | None = None) -> str:
    with pytest.raises(PlanRefused) as caught:
        accepted(*tasks, policy=policy)
    return str(caught.value)


def test_a_plan_keeps_what_its_author_wrote_in_the_authors_order() -> None:
    plan = accepted(
        task("b", "a", {"id": "c", "type": "order"}, done_when=["it runs"], effects="once", schema={"type": "object"}),
        task("a"),
        task("c", lane="writing"),
    )
    first = plan.tasks[0]
    assert [each.id for each in plan.tasks] == ["b", "a", "c"]
    assert first.depends_on == (Dependency("a", "data"), Dependency("c", "order"))
    assert (first.done_when, first.effects, first.schema) == (("it runs",), "once", {"type": "object"})
    assert (plan.tasks[1].done_when, plan.tasks[1].effects, plan.tasks[1].schema) == ((), None, None)
    assert plan.tasks[2].lane == "writing"
    assert plan.waves == (("a", "c"), ("b",))
    assert plan.edges == 2


def test_a_single_task_is_a_plan() -> None:
    plan = accept(single("write it", "writing"), ROSTER, Policy())
    assert [(each.id, each.lane, each.instruction) for each in plan.tasks] == [("t1", "writing", "write it")]
    assert plan.waves == (("t1",),)
    assert plan.edges == 0


def test_a_plan_comes_back_from_its_canonical_bytes() -> None:
    plan = accepted(task("a", schema={"b": 1, "a": [None]}), task("b", "a", effects="idempotent"))
    assert from_json(plan.to_json()) == plan
    assert from_json(plan.to_json()).to_json() == plan.to_json()
    turned = accepted(
        task("a", schema={"a": [None], "b": 1}), {**dict(reversed(task("b", "a").items())), "effects": "idempotent"}
    )
    assert turned.to_json() == plan.to_json(), "members may stand in any order"


def test_the_waves_of_a_diamond() -> None:
    assert accepted(task("d", "b", "c"), task("c", "a"), task("b", "a"), task("a")).waves == (
        ("a",),
        ("c", "b"),
        ("d",),
    )


@pytest.mark.parametrize("name", ["a", "T1", "1", "a.b-c_d", "x" * 64])
def test_ids_of_letters_digits_and_three_marks_are_taken(name: str) -> None:
    assert accepted(task(name)).tasks[0].id == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "-a", ".a", "_a", "a/b", "a\n", "\u00e9", "x" * 65, "\ud800", "a\x00"]
)
def test_other_ids_are_refused(name: str) -> None:
    said = refused(task(name))
    assert said.startswith("task id ")
    assert "is not usable; use 1 to 64 letters, digits, '-', '_' or '.'" in said
    assert len(said) < 200


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([], "the plan has no tasks; give at least one"),
        ([task("a"), task("b"), task("a")], "task id 'a' stands twice in the plan; give each task its own id"),
        ([task("a", lane="bakend")], "task 'a' names lane 'bakend', which is not in the roster; lanes are backend, "),
        ([task("a", lane="")], "task 'a' names lane '', which is not in the roster"),
        ([task("a", lane="x" * 5_000)], "x...', which is not in the roster"),
        ([task("a", instruction=" \n\t")], "task 'a' has an empty instruction; say what is to be done"),
        ([task("a"), task("b", "c")], "task 'b' depends on 'c', which is not in the plan (tasks: a, b)"),
        ([task("a", "x" * 5_000)], "x...', which is not in the plan (tasks: a)"),
        ([task("a", "a")], "task 'a' depends on itself; remove that dependency"),
        ([task("a"), task("b", "a", "a")], "task 'b' names dependency 'a' twice; name it once"),
        (
            [task("a"), task("b", "a", {"id": "a", "type": "order"})],
            "task 'b' names dependency 'a' twice; name it once",
        ),
    ],
)
def test_a_refusal_names_the_task_the_value_and_the_remedy(tasks: list[dict[str, object]], words: str) -> None:
    said = refused(*tasks)
    assert words in said
    assert len(said) < 400


def test_a_long_list_of_tasks_is_cut_in_a_message() -> None:
    said = refused(*(task(f"t{number}") for number in range(30)), task("last", "gone"))
    assert "t19 ...)" in said
    assert "t20" not in said


def test_a_lane_that_the_policy_forbids_is_refused_by_task() -> None:
    said = refused(task("a"), policy=Policy(deny_lanes=["backend"]))
    assert said.startswith("task 'a' names lane 'backend': lane 'backend' (category 'engineering') is not permitted")


def test_two_thousand_tasks_are_taken_and_one_more_is_refused() -> None:
    tasks = [task(f"t{n}", *([f"t{n - 1}"] if n else [])) for n in range(2_000)]
    assert TASKS_MAX == 2_000
    assert len(accepted(*tasks).waves) == 2_000
    said = refused(*tasks, task("t2000"))
    assert said == "the plan has 2001 tasks; at most 2000 are permitted"


def test_the_policy_may_permit_fewer_tasks_but_never_more() -> None:
    assert refused(task("a"), task("b"), policy=Policy(max_tasks=1)) == "the plan has 2 tasks; at most 1 are permitted"
    many = [task(f"t{number}") for number in range(TASKS_MAX + 1)]
    assert "at most 2000 are permitted" in refused(*many, policy=Policy(max_tasks=10_000))


@pytest.mark.parametrize(
    "written",
    [
        None,
        [],
        {},
        {"tasks": None},
        {"tasks": {}},
        {"tasks": ["a"]},
        {"tasks": [task("a")], "note": "x"},
        {"tasks": [task("a", title="x")]},
        {"tasks": [{"id": "a", "lane": "backend"}]},
        {"tasks": [{**task("a"), "id": 1}]},
        {"tasks": [{**task("a"), "instruction": None}]},
        {"tasks": [{**task("a"), "depends_on": "b"}]},
        {"tasks": [task("a", {"id": "b", "type": "maybe"})]},
        {"tasks": [task("a", {"type": "data"})]},
        {"tasks": [task("a", 1)]},
        {"tasks": [task("a", effects="twice")]},
        {"tasks": [task("a", done_when="it runs")]},
        {"tasks": [task("a", schema="object")]},
        {"tasks": [task("a", schema=True)]},
    ],
)
def test_another_shape_is_refused_and_the_shape_is_shown(written: object) -> None:
    with pytest.raises(PlanRefused, match=r'does not have the shape of a plan: .*expected \{"tasks": \['):
        read(written)


@pytest.mark.parametrize("data", [b"", b"{", b"tasks", b"\xff", b'{"tasks": NaN}', b'{"tasks": []} more'])
def test_bytes_that_are_not_json_are_refused(data: bytes) -> None:
    with pytest.raises(PlanRefused, match="the plan is not JSON"):
        decode(data)


def named_cycle(said: str) -> list[str]:
    """Return the cycle a refusal names."""
    found = re.fullmatch(r"the plan has a cycle: (\S+(?: -> \S+)+); remove one of these dependencies", said)
    assert found is not None, said
    return found[1].split(" -> ")


@pytest.mark.parametrize(
    ("tasks", "members"),
    [
        ([task("a", "b"), task("b", "a")], {"a", "b"}),
        ([task("a", "c"), task("b", "a"), task("c", "b")], {"a", "b", "c"}),
        ([task("root"), task("a", "root", "b"), task("b", "a"), task("after", "b")], {"a", "b"}),
        ([task("after", "b"), task("later", "after"), task("a", "b"), task("b", "a")], {"a", "b"}),
    ],
)
def test_a_cycle_is_named_without_the_tasks_around_it(tasks: list[dict[str, object]], members: set[str]) -> None:
    cycle = named_cycle(refused(*tasks))
    assert set(cycle) == members
    assert cycle[0] == cycle[-1]
    assert len(cycle) == len(members) + 1


def graphs(*, back: bool) -> st.SearchStrategy[Edges]:
    """Return graphs of 1 to 14 tasks in any order; without ``back``, edges lead to earlier names only."""
    return st.integers(1, 14).flatmap(
        lambda size: st.lists(st.sets(st.integers(0, size - 1), max_size=4), min_size=size, max_size=size).flatmap(
            lambda needs: st.permutations(
                [
                    (f"t{n}", sorted(f"t{m}" for m in each if (m != n if back else m < n)))
                    for n, each in enumerate(needs)
                ]
            ).map(dict)
        )
    )


@QUIET
@given(graphs(back=False))
def test_each_wave_waits_for_earlier_waves_only_and_no_longer_than_it_must(edges: Edges) -> None:
    plan = accepted(*(task(name, *needs) for name, needs in edges.items()))
    wave_of = {name: number for number, wave in enumerate(plan.waves) for name in wave}
    assert sum(map(len, plan.waves)) == len(wave_of) == len(edges)
    for name, needs in edges.items():
        assert wave_of[name] == max((wave_of[need] + 1 for need in needs), default=0)
    for wave in plan.waves:
        assert list(wave) == [name for name in edges if name in wave], "in the plan's order"
    assert from_json(plan.to_json()) == plan


@QUIET
@given(graphs(back=True))
def test_a_graph_is_a_plan_or_has_the_cycle_that_is_named(edges: Edges) -> None:
    tasks = [task(name, *needs) for name, needs in edges.items()]
    left = dict(edges)
    while free := [name for name, needs in left.items() if not set(needs) & left.keys()]:
        for name in free:
            del left[name]
    if not left:
        accepted(*tasks)
        return
    cycle = named_cycle(refused(*tasks))
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    assert all(later in edges[name] for name, later in pairwise(cycle))


def test_a_recorded_plan_that_is_none_is_not_read() -> None:
    with pytest.raises(msgspec.DecodeError):
        from_json(b'{"tasks": [{"id": "a"}]}')
