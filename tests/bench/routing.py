"""Figures of the router on labelled requests, and what it ships that is made from data.

    python -m tests.bench.routing               figures, reliability and confusion of every part
    python -m tests.bench.routing crossvalidate figures of each development part from a table made without it
    python -m tests.bench.routing compile       make forum_mcp/configs/routing.json again
    python -m tests.bench.routing calibrate     print the curve for forum_mcp/rules/confidence.py

The development parts go into the table. ``apart`` goes into nothing but the curve, the other apart parts into
nothing at all. ``sample`` was given with the task. tests/data/routing/README.md says who wrote which part, and when.
"""

import json
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forum_mcp.configs.roster import shipped_roster_text
from forum_mcp.configs.routing import COMPILED_NAME, vocabulary_text
from forum_mcp.rules.confidence import strength
from forum_mcp.rules.evidence import of_lane, of_requests, of_vocabulary
from forum_mcp.rules.knowledge import VERSION, meaning
from forum_mcp.rules.lanes import FALLBACK, Roster
from forum_mcp.rules.lexicon import Lexicon, digest_of, weigh
from forum_mcp.rules.roster import parse
from forum_mcp.rules.routing import decide, route, weighed

__all__ = ["compiled", "read", "score"]

DATA: Final = Path(__file__).parents[1] / "data" / "routing"
CONFIGS: Final = Path(__file__).parents[2] / "forum_mcp" / "configs"
_DEVELOPMENT: Final = ("development", "second-development", "third-development", "fourth-development")
_APART: Final = ("apart", "second-apart", "third-apart", "fourth-apart", "fifth-apart")
_CURVE: Final = ("development", "second-development")
_PARTS: Final = (*_APART, *_DEVELOPMENT, "sample")
_KNOTS: Final = 12
_MOST_UNITS: Final = 6_000


@dataclass(frozen=True)
class Row:
    """A labelled request; ``ok`` are the lanes that count as right, ``general`` alone when none fits.

    ``title``: whether it is the title of a public issue.
    """

    text: str
    best: str
    ok: tuple[str, ...]
    title: bool = False

    @property
    def fits(self) -> bool:
        """Whether some lane fits."""
        return self.best != FALLBACK


def read(name: str) -> list[Row]:
    """Return the rows of one part."""
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Row(row["text"], row["best"], tuple(row["ok"]), "#" in row.get("source", "")) for row in map(json.loads, lines)
    ]


def development() -> list[Row]:
    """Return the rows the table is made from."""
    return [row for name in _DEVELOPMENT for row in read(name)]


def shipped() -> Roster:
    """Return the shipped roster."""
    return parse(shipped_roster_text(), "roster.toml")


def evidence(roster: Roster, rows: Iterable[Row]) -> dict[str, dict[int, int]]:
    """Return term -> lane number -> units, of the vocabulary and of labelled requests."""
    numbers = {name: at for at, name in enumerate((*sorted(n for n in roster.lanes if n != FALLBACK), FALLBACK))}
    total: dict[str, dict[int, int]] = {}
    labelled = ((row.text, tuple(dict.fromkeys((row.best, *row.ok)))) for row in rows)
    for source in (of_vocabulary(tomllib.loads(vocabulary_text()).values()), of_requests(labelled)):
        for lane, found in source.items():
            for term, units in found.items():
                of_term = total.setdefault(term, {})
                of_term[numbers[lane]] = min(_MOST_UNITS, of_term.get(numbers[lane], 0) + units)
    return total


def lexicon(roster: Roster, rows: Iterable[Row]) -> Lexicon:
    """Return the lexicon the shipped roster gets when the table is made from these rows."""
    names = tuple(sorted(name for name in roster.lanes if name != FALLBACK))
    lanes = ((at, of_lane(roster.lanes[name])) for at, name in enumerate(names))
    return weigh(names, evidence(roster, rows), lanes)


def compiled() -> str:
    """Return the text of the table that ships: JSON, one term a line."""
    roster, rows = shipped(), development()
    made = lexicon(roster, rows)
    units = {
        term: [figure for number in sorted(lanes) for figure in (number, lanes[number])]
        for term, lanes in sorted(evidence(roster, rows).items())
    }
    members = {
        "v": str(VERSION),
        "roster": json.dumps(digest_of(roster)),
        "lanes": json.dumps(made.lanes),
        "meanings": json.dumps({name: meaning(lane) for name, lane in sorted(roster.lanes.items())}),
        "words": _lines(made.words),
        "roots": _lines(made.roots),
        "evidence": _lines(units),
    }
    return "{" + ",\n".join(f'"{name}":{text}' for name, text in members.items()) + "}\n"


def _lines(table: object) -> str:
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    return text.replace("],", "],\n")


def score(rows: list[Row], roster: Roster) -> dict[str, float]:
    """Return the shares the router is judged by."""
    return _shares([(row, route(row.text, roster).lane) for row in rows])


def _shares(found: list[tuple[Row, str | None]]) -> dict[str, float]:
    fitting = [(row, lane) for row, lane in found if row.fits]
    decided = [(row, lane) for row, lane in found if lane is not None]
    others = [lane for row, lane in found if not row.fits]
    return {
        "top-1": sum(lane in row.ok for row, lane in fitting) / len(fitting),
        "abstained": sum(lane is None for _, lane in fitting) / len(fitting),
        "wrong when decided": sum(lane not in row.ok for row, lane in decided) / len(decided),
        "right abstention": sum(lane is None for lane in others) / len(others),
    }


def _report() -> None:
    roster = shipped()
    route("", roster)
    apart = [row for part in _APART for row in read(part)]
    rows_of = {
        "all held apart": apart,
        "titles held apart": [row for row in apart if row.title],
        "written and held apart": [row for row in apart if not row.title],
    }
    for part, rows in (rows_of | {part: read(part) for part in _PARTS}).items():
        print(f"{part}: {len(rows)} requests, {len({row.best for row in rows})} lanes")
        for name, share in score(rows, roster).items():
            print(f"  {name:20s} {share:.3f}")
        _reliability(rows, roster)
        _confusion(rows, roster)
    times: list[int] = []
    for row in [row for part in _PARTS for row in read(part)]:
        begin = time.perf_counter_ns()
        route(row.text, roster)
        times.append(time.perf_counter_ns() - begin)
    times.sort()
    print(f"a request: median {times[len(times) // 2] // 1_000} us, p99 {times[len(times) * 99 // 100] // 1_000} us")


def _reliability(rows: list[Row], roster: Roster) -> None:
    print("  confidence   requests   best lane right")
    bins: dict[int, list[bool]] = {}
    for row in rows:
        found = route(row.text, roster)
        right = bool(found.candidates) and row.fits and found.candidates[0].lane in row.ok
        bins.setdefault(min(9, found.confidence_ppm // 100_000), []).append(right)
    for tenth, rights in sorted(bins.items()):
        print(f"  {tenth / 10:.1f} - {tenth / 10 + 0.1:.1f}    {len(rights):5d}      {sum(rights) / len(rights):.2f}")


def _confusion(rows: list[Row], roster: Roster) -> None:
    pairs = Counter(
        (row.best, lane) for row in rows if (lane := route(row.text, roster).lane) is not None and lane not in row.ok
    )
    print("  most often confused: wanted -> decided")
    for (wanted, decided), count in pairs.most_common(12):
        print(f"  {count:3d}  {wanted} -> {decided}")


def _unseen(part: str, roster: Roster) -> Iterator[tuple[Row, Lexicon]]:
    """Yield the rows of a development part with a lexicon made without that part: another hand's words."""
    made = lexicon(roster, [row for name in _DEVELOPMENT if name != part for row in read(name)])
    yield from ((row, made) for row in read(part))


def _crossvalidate() -> None:
    roster = shipped()
    for part in _DEVELOPMENT:
        found = [(row, decide(row.text, made)) for row, made in _unseen(part, roster)]
        print(f"{part}: {len(found)} requests, routed by a table made without them")
        for share, figure in _shares(found).items():
            print(f"  {share:20s} {figure:.3f}")


def _calibrate() -> None:
    """Print the curve: apart rows thrice, two development parts as a table without them sees them, pooled to rise."""
    roster = shipped()
    points = [_point(row, made, 1) for part in _CURVE for row, made in _unseen(part, roster)]
    of_all = lexicon(roster, development())
    points += [_point(row, of_all, 3) for row in read("apart")]
    points.sort()
    share = sum(weight for _, _, weight in points) / _KNOTS
    bins: list[list[float]] = [[0, 0, 0]]
    for figure, right, weight in points:
        if bins[-1][2] >= share:
            bins.append([0, 0, 0])
        bins[-1] = [bins[-1][0] + figure * weight, bins[-1][1] + right * weight, bins[-1][2] + weight]
    place = 0
    while place < len(bins) - 1:
        (left, right_of_left, of_left), (other, right_of_other, of_other) = bins[place], bins[place + 1]
        if right_of_left / of_left > right_of_other / of_other:
            bins[place : place + 2] = [[left + other, right_of_left + right_of_other, of_left + of_other]]
            place = max(0, place - 1)
        else:
            place += 1
    for figures, rights, weights in bins:
        print(f"    ({round(figures / weights):_}, {round(rights / weights * 1_000) * 1_000:_}),")


def _point(row: Row, made: Lexicon, weight: int) -> tuple[int, bool, int]:
    sums = weighed(row.text, made)
    right = row.fits and bool(sums.ranked) and made.lanes[sums.ranked[0]] in row.ok
    return strength(sums.best, sums.ahead, sums.elsewhere, sums.clearest), right, weight


def _main(arguments: list[str]) -> None:
    if arguments == ["compile"]:
        (CONFIGS / COMPILED_NAME).write_text(compiled(), encoding="utf-8")
    elif arguments == ["calibrate"]:
        _calibrate()
    elif arguments == ["crossvalidate"]:
        _crossvalidate()
    else:
        _report()


if __name__ == "__main__":
    _main(sys.argv[1:])
