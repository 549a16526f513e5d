import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forum_mcp.configs.roster import shipped_roster_text
from forum_mcp.configs.routing import compiled_routing
from forum_mcp.rules.knowledge import knowledge
from forum_mcp.rules.lexicon import Lexicon, compile_roster, digest_of
from forum_mcp.rules.roster import Lane, Roster, parse
from forum_mcp.rules.routing import CANDIDATES_MAX, Route, route, weighed
from forum_mcp.rules.words import STEMMER, UNICODE, Word, fold, split_words, stem
from tests.bench.routing import compiled

DATA = Path(__file__).parents[1] / "data" / "routing"
DEVELOPMENT = ("development", "second-development", "third-development", "fourth-development")
APART = ("apart", "second-apart", "third-apart", "fourth-apart", "fifth-apart")
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@cache
def shipped() -> Roster:
    return parse(shipped_roster_text(), "roster.toml")


KEYWORD_LANES = [lane for lane in shipped().lanes.values() if lane.name != shipped().fallback]


def rows(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("request_text", "lane"),
    [
        ("build the database schema and the auth endpoint", "backend"),
        ("build the react component and css for the page", "frontend"),
        ("write the readme docs and the guide", "technical-writing"),
    ],
)
def test_golden_requests_go_where_they_always_went(request_text: str, lane: str) -> None:
    found = route(request_text, shipped())
    assert found.lane == found.chosen == lane
    assert found.candidates[0].lane == lane
    assert found.confidence_ppm > 0


@pytest.mark.parametrize("request_text", ["summon a unicorn", "", "   \n", "the of and", "?!", "\u200b", "\U0001f984"])
def test_a_request_nothing_speaks_for_abstains_with_confidence_zero(request_text: str) -> None:
    assert route(request_text, shipped()) == Route(None, "general", 0, 0, 0, ())


@pytest.mark.parametrize("lane", KEYWORD_LANES, ids=lambda lane: lane.name)
def test_every_keyword_lane_is_chosen_for_its_own_keywords(lane: Lane) -> None:
    for keywords in (lane.keywords, lane.strong, lane.strong + lane.keywords):
        assert route(" ".join(keywords), shipped()).lane == lane.name
        assert route(", ".join(reversed(keywords)).upper(), shipped()).lane == lane.name


@pytest.mark.parametrize("lane", KEYWORD_LANES, ids=lambda lane: lane.name)
def test_every_keyword_lane_is_chosen_for_each_of_its_examples(lane: Lane) -> None:
    for example in lane.examples:
        assert route(example, shipped()).lane == lane.name, example


@pytest.mark.parametrize("letter", ["a", "b", "K", "z"])
def test_a_letter_alone_speaks_for_no_lane(letter: str) -> None:
    assert route(letter, shipped()).candidates == ()


def test_the_fallback_is_never_a_candidate() -> None:
    found = route(shipped().lanes["general"].description, shipped())
    assert "general" not in [candidate.lane for candidate in found.candidates]


# Regression floors; only the parts held apart say something of unseen text (docs/explanation/routing.md).
@pytest.mark.parametrize(
    ("name", "top", "abstained"),
    [
        ("sample", 0.85, 0.75),
        ("development", 0.9, 0.9),
        ("second-development", 0.9, 0.9),
        ("third-development", 0.9, 0.85),
        ("fourth-development", 0.88, 0.9),
        ("apart", 0.58, 0.85),
        ("second-apart", 0.88, 0.9),
        ("third-apart", 0.88, 0.75),
        ("fourth-apart", 0.7, 0.72),
        ("fifth-apart", 0.8, 0.9),
    ],
)
def test_labelled_requests_go_to_their_lane_and_others_abstain(name: str, top: float, abstained: float) -> None:
    found = [(row, route(str(row["text"]), shipped()).lane) for row in rows(name)]
    fits = [lane in cast("list[str]", row["ok"]) for row, lane in found if row["best"] != "general"]
    others = [lane is None for row, lane in found if row["best"] == "general"]
    assert sum(fits) / len(fits) >= top
    assert sum(others) / len(others) >= abstained


def test_no_request_held_apart_is_in_the_table() -> None:
    def texts(names: tuple[str, ...]) -> set[str]:
        return {str(row["text"]).casefold() for name in names for row in rows(name)}

    assert not texts(APART) & texts(DEVELOPMENT)


def test_the_parts_held_apart_reach_their_targets_together() -> None:
    found = [(row, route(str(row["text"]), shipped()).lane) for name in APART for row in rows(name)]
    lane_fits = [(row, lane) for row, lane in found if row["best"] != "general"]
    decided = [lane in cast("list[str]", row["ok"]) for row, lane in found if lane is not None]
    assert sum(lane in cast("list[str]", row["ok"]) for row, lane in lane_fits) / len(lane_fits) >= 0.8
    assert sum(lane is None for _, lane in lane_fits) / len(lane_fits) <= 0.12
    assert 1 - sum(decided) / len(decided) <= 0.12
    others = [lane is None for row, lane in found if row["best"] == "general"]
    assert sum(others) / len(others) >= 0.8


@pytest.mark.promise("routing-readable")
def test_figures_and_candidates_explain_the_choice() -> None:
    found = route("Review the pull request that adds the Kafka consumer", shipped())
    assert len(found.candidates) <= CANDIDATES_MAX
    scores = [candidate.score_ppm for candidate in found.candidates]
    assert scores == sorted(scores, reverse=True)
    assert found.score_ppm == scores[0]
    assert "pull request" in found.candidates[0].terms
    assert found.candidates[0].lane == "code-review"
    assert ["data-pipeline", "kafka"] in [[candidate.lane, candidate.terms[0]] for candidate in found.candidates]


def test_the_explanation_is_canonical_json_of_the_route() -> None:
    found = route("Fix the flaky test in the Café module", shipped())
    explained = json.loads(found.explanation())
    assert explained["v"] == 2
    assert msgspec.convert(explained["route"], Route) == found
    assert (
        found.explanation() == json.dumps(explained, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )


def test_a_route_does_not_depend_on_the_order_of_lanes() -> None:
    backwards = Roster(dict(reversed(list(shipped().lanes.items()))))
    for row in rows("sample"):
        assert route(str(row["text"]), backwards) == route(str(row["text"]), shipped())
    assert compile_roster(backwards) == compile_roster(shipped())


def test_lanes_with_equal_evidence_are_no_decision() -> None:
    general = Lane("general", "general", "Rest.", ())
    twins = Roster({"general": general, "a": Lane("a", "x", "One.", ("tree",)), "b": Lane("b", "x", "Two.", ("tree",))})
    found = route("tree", twins)
    assert found.lane is None
    assert found.margin_ppm == 0
    assert [candidate.lane for candidate in found.candidates] == ["a", "b"]
    assert route("tree", Roster({"general": general})) == Route(None, "general", 0, 0, 0, ())


def test_a_users_lane_is_found_by_its_keywords_in_any_script() -> None:
    text = '[lanes.kitchen]\ncategory = "home"\ndescription = "Cooking."\n'
    text += 'keywords = ["菜谱", "рецепт", "crème brûlée"]\n'
    mine = parse(text, "my.toml", shipped())
    for request_text in ("我们的菜谱很旧", "Дай мне РЕЦЕПТ", "CREME BRULEE for four"):
        assert route(request_text, mine).lane == "kitchen"
        assert route(request_text, shipped()).lane is None, request_text


def test_names_written_together_are_known_whole_or_by_their_parts() -> None:
    terms = [candidate.terms for candidate in route("PyTorch fails in createShaderGraph", shipped()).candidates]
    assert any({"shader graph", "shader", "graph"} <= set(found) for found in terms)
    assert any("pytorch" in found for found in terms)


def test_the_beginning_and_the_end_of_a_long_request_count() -> None:
    filler = "lorem ipsum dolor " * 20_000
    assert route("Write a GLSL fragment shader " + filler, shipped()).lane == "shader-effects"
    assert route(filler + " Write a GLSL fragment shader", shipped()).lane == "shader-effects"


def test_the_table_that_ships_is_made_from_the_vocabulary_the_roster_and_the_labelled_requests() -> None:
    assert compiled_routing().decode() == compiled()


def test_the_shipped_lexicon_is_what_the_shipped_roster_compiles_to() -> None:
    known = knowledge()
    lexicon = compile_roster(shipped())
    assert known.roster == digest_of(shipped())
    assert lexicon.words is known.words
    general = shipped().lanes["general"]
    other = Roster(dict(shipped().lanes) | {"general": replace(general, tier="large")})
    assert compile_roster(other) == lexicon


def test_a_lane_keeps_its_vocabulary_until_its_description_says_something_else() -> None:
    request_text = "my photos get squashed on the laptop"
    assert route(request_text, shipped()).candidates[0].lane == "frontend"
    dearer = parse('[lanes.frontend]\ntier = "large"\n', "my.toml", shipped())
    assert route(request_text, dearer) == route(request_text, shipped())
    changed = parse('[lanes.frontend]\ndescription = "Shop windows and street fronts."\n', "my.toml", shipped())
    assert "squashed" not in [
        term for each in route(request_text, changed).candidates if each.lane == "frontend" for term in each.terms
    ]
    gone = parse('remove = ["frontend"]\n', "my.toml", shipped())
    assert "frontend" not in [each.lane for each in route(request_text, gone).candidates]


@pytest.mark.parametrize("request_text", ["drag tiles", "drag the tiles", "drag it onto my tile"])
def test_two_words_make_a_pair_whatever_small_words_stand_between(request_text: str) -> None:
    assert weighed(request_text, Lexicon(("a",), {"drag tile": (0, 900)}, {})).best == 900


@pytest.mark.parametrize("request_text", ["tiles drag", "drag blue tiles"])
def test_words_in_another_order_or_with_a_word_that_tells_between_make_no_pair(request_text: str) -> None:
    assert weighed(request_text, Lexicon(("a",), {"drag tile": (0, 900)}, {})).best == 0


def test_a_word_counts_less_beside_a_pair_it_is_part_of() -> None:
    known = Lexicon(("a", "b"), {"load": (0, 1_000), "load balancer": (1, 1_200)}, {})
    assert weighed("load the page", known).totals == (1_000, 0)
    assert weighed("load balancer", known).totals == (700, 1_200)


def test_a_slip_of_one_letter_is_forgiven_and_shown() -> None:
    for written in ("kuberentes", "kuberneetes", "kubrnetes"):
        candidate = route(f"upgrade our {written} nodes", shipped()).candidates[0]
        assert candidate.lane == "cloud-infra"
        assert any("~ kubernet" in term for term in candidate.terms), candidate.terms


@pytest.mark.parametrize(
    ("request_text", "lane"),
    [
        ("Die Datenbankabfrage ist zu langsam", "database"),
        ("Rédige le manuel et la notice de cet outil", "technical-writing"),
        ("Entrena un modelo que clasifique imágenes", "data-ml"),
        ("Почини утечку памяти и двойное освобождение указателя", "native-cpp"),
        ("为登录接口编写单元测试用例", "testing-qa"),
        ("データベースのインデックスを追加", "database"),
        ("Traduza a interface para o português", "localization"),
    ],
)
def test_requests_in_other_languages_find_their_lane(request_text: str, lane: str) -> None:
    assert route(request_text, shipped()).candidates[0].lane == lane


@pytest.mark.parametrize("request_text", ["ქართული ტექსტი", "ဘာသာစကား", "\u1200\u1218\u1228", "ᚠᚢᚦᚨᚱᚲ"])
def test_a_script_nobody_wrote_knowledge_for_is_not_guessed_at(request_text: str) -> None:
    assert route(request_text, shipped()).lane is None


class Counted(dict[str, tuple[int, ...]]):
    """A table that counts how often it is asked."""

    asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)


@pytest.mark.parametrize(
    "hostile",
    [
        "x" * 1_000_000,
        "zqxjkvb " * 125_000,
        "a\u0301" * 500_000,
        "\u200b\u200d" * 500_000,
        "\ud800" * 1_000_000,
        "据" * 1_000_000,
        "aB" * 500_000,
        "".join(f"qzx{number}vw " for number in range(100_000)),
        "\U0001f984" * 1_000_000,
        "(" * 1_000_000,
    ],
    ids=["one word", "unknown words", "marks", "zero width", "surrogates", "han", "humps", "many", "emoji", "brackets"],
)
def test_a_megabyte_of_anything_costs_a_bounded_number_of_look_ups(hostile: str) -> None:
    lexicon = compile_roster(shipped())
    words, roots = Counted(lexicon.words), Counted(lexicon.roots)
    weighed(hostile, Lexicon(lexicon.lanes, words, roots))
    assert words.asked < 60_000
    assert roots.asked < 60_000


@given(ANY_TEXT)
def test_any_text_routes_to_a_lane_of_the_roster_twice_alike(text: str) -> None:
    found = route(text, shipped())
    assert found == route(text, shipped())
    assert found.chosen in shipped().lanes
    assert found.lane in (None, found.chosen)
    for figure in (found.score_ppm, found.margin_ppm, found.confidence_ppm):
        assert 0 <= figure <= 1_000_000
    found.explanation()


@given(ANY_TEXT)
def test_words_of_any_text_are_folded_and_bounded(text: str) -> None:
    for word in split_words(text):
        assert 0 < len(word.whole) <= 130
        assert word.parts
        assert fold(word.whole) == word.whole
        stem(word.whole)


def test_folding_forgets_case_width_ligatures_and_latin_marks_only() -> None:
    assert fold("Überprüfe ﬁne \uff26\uff55ll ŁÓDŹ straße") == "uberprufe fine full lodz strasse"
    assert fold("й") == "й"
    assert fold("が") == "が"


def test_names_made_of_punctuation_survive_splitting() -> None:
    wholes = [word.whole for word in split_words("C++, c# and ASP.NET or .net; CI/CD, node.js, don't")]
    assert wholes == [
        "cplusplus", "csharp", "and", "asp", "dotnet", "or", "dotnet", "ci", "cd", "node", "js", "dont",
    ]  # fmt: skip


def test_compound_names_keep_the_whole_and_its_parts() -> None:
    assert split_words("ModuleNotFoundError user_id HTTPServer") == [
        Word("modulenotfounderror", ("module", "not", "found", "error")),
        Word("user_id", ("user", "id")),
        Word("httpserver", ("http", "server")),
    ]


def test_scripts_without_spaces_give_overlapping_pairs() -> None:
    assert [word.whole for word in split_words("数据库sql")] == ["数据", "据库", "sql"]


def test_characters_younger_than_unicode_14_separate_words() -> None:
    assert [word.whole for word in split_words("ab\U0001e030cd\u2ffcef")] == ["ab", "cd", "ef"]
    assert fold("a\U0001e030b") == "a b"


def test_what_a_stem_depends_on_is_named_for_the_record() -> None:
    assert STEMMER.startswith("snowball-english 3.")
    assert UNICODE.count(".") == 2
    assert stem("databases") == stem("database")
    assert stem("базы") == "базы"


def test_what_does_a_thing_is_not_taken_for_the_thing() -> None:
    assert stem("customers") == stem("customer") != stem("custom")
    assert stem("tokenizer") != stem("token")
