"""What docs/explanation/comparison.md says of other programs, tried: ``python -m tests.bench.beside``.

Needs the group ``bench``. Each line is a fact that was just seen; a program that is not installed is left out.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path
from typing import Any, Final

__all__ = ["FACTS", "forum_engine", "langgraph", "main"]

ROUNDS: Final = 3


def forum_engine() -> Iterator[str]:
    """Yield what forum-engine does with a command that does not speak its JSON, and with a dropped tail."""
    needed = [line for line in requires("forum-engine") or [] if "extra ==" not in line]
    yield f"licence {metadata('forum-engine')['License-Expression']}, needs {', '.join(needed) or 'nothing'}"
    with tempfile.TemporaryDirectory() as place:
        forum = str(Path(sys.executable).with_name("forum"))

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run([forum, *words], cwd=place, capture_output=True, text=True, check=False, timeout=60)

        submit = run("submit", "--cmd", "echo done", "--ledger", "L", "write the readme docs")
        yield f"submit --cmd 'echo done': exit {submit.returncode}, {submit.stderr.strip()[:60]}"
        for file in Path(place, "L").iterdir():
            file.write_text("".join(file.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
        verify = run("ledger", "verify", "--ledger", "L")
        said = json.dumps(json.loads(verify.stdout))
        yield f"ledger verify after the last line is gone: exit {verify.returncode}, {said}"


def langgraph() -> Iterator[str]:
    """Yield what LangGraph does with a graph that has a cycle, stops for a person, and goes on from a file."""
    yield f"licence {metadata('langgraph')['License-Expression']}"
    graphs: Any = import_module("langgraph.graph")
    sqlite: Any = import_module("langgraph.checkpoint.sqlite")
    thread = {"configurable": {"thread_id": "1"}}

    def graph(saver: Any) -> Any:
        made = graphs.StateGraph(dict)
        made.add_node("work", _work)
        made.add_node("end", _same)
        made.add_edge(graphs.START, "work")
        made.add_conditional_edges("work", _next)
        made.add_edge("end", graphs.END)
        return made.compile(checkpointer=saver, interrupt_before=["end"])

    with tempfile.TemporaryDirectory() as place:
        file = str(Path(place) / "state.sqlite")
        with sqlite.SqliteSaver.from_conn_string(file) as saver:
            graph(saver).invoke({}, thread)
        with sqlite.SqliteSaver.from_conn_string(file) as saver:
            waiting = graph(saver)
            yield f"a cycle of {ROUNDS} rounds stopped before {waiting.get_state(thread).next}, kept in SQLite"
            waiting.invoke(None, thread)
            yield f"opened again it went on to its end: next {waiting.get_state(thread).next}"


def _work(state: dict[str, int]) -> dict[str, int]:
    return {"rounds": state.get("rounds", 0) + 1}


def _same(state: dict[str, int]) -> dict[str, int]:
    return state


def _next(state: dict[str, int]) -> str:
    return "work" if state["rounds"] < ROUNDS else "end"


FACTS: Final = {"forum-engine": forum_engine, "langgraph": langgraph}


def main() -> int:
    """Print the facts; return 1 when one of the programs is not installed."""
    missing = 0
    for name, facts in FACTS.items():
        try:
            print(f"{name} {metadata(name)['Version']}")
        except PackageNotFoundError:
            print(f"{name} is not installed: uv sync --group bench")
            missing = 1
            continue
        for fact in facts():
            print(f"  {fact}")
    return missing


if __name__ == "__main__":
    sys.exit(main())
