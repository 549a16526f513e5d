"""Every command line of README, tutorials and how-tos is typed by a test, or listed with the reason why not."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio
import pytest

from forum_mcp.cli import HELP
from forum_mcp.engine.daemon_client import stop_daemons
from tests.bench.peer import missing, open_peer
from tests.cli.commands import COMMAND, forum
from tests.docs.typist import ROOT, Typist, inline_of, lines_of
from tests.executors.fault_server import FaultServer

PAGES: Final = [
    "README.md",
    *(str(page.relative_to(ROOT)) for kind in ("tutorial", "how-to") for page in (ROOT / "docs" / kind).glob("*.md")),
]
TYPED: Final = {
    "docs/tutorial/verified-answer.md": "tests/docs/test_tutorials.py",
    "docs/how-to/connect-a-client.md": "tests/docs/test_connect_page.py",
    "docs/how-to/serve-over-http.md": "tests/server/test_http_curl.py",
}
"""Pages whose lines another file types as they stand."""

ELSEWHERE: Final = {
    "uvx forum-mcp": (".ci/run", '"$uv" tool run --from "$wheel" forum-mcp', "from PyPI only after a release"),
    "uvx forum-mcp demo": (".ci/run", '"$uv" tool run --from "$wheel" forum-mcp demo', "as above"),
    "uvx forum-mcp install claude-code": (
        "tests/packaging/test_newcomer.py",
        "forum-mcp install {client.name}",
        "as above",
    ),
    "forum-mcp ledger show --follow": (
        "tests/reading/test_show_filters.py",
        '"--follow"',
        "ends only when it is told to",
    ),
    "forum-mcp serve --http": ("tests/server/http_peer.py", '"serve", "--http"', "serves until it is told to end"),
    "forum-mcp serve --http --public-url https://forum.example --issuer https://login.example --jwks "
    "https://login.example/jwks.json": (
        "tests/server/http_peer.py",
        "--issuer",
        "needs that issuer; the test has one of its own",
    ),
}
"""Line -> (file, what stands in it, why it is not typed below)."""

PLAN: Final = ("--cmd", "echo done", "--roles", "rules", "--quiet")


def submitted(directory: Path, *more: str) -> str:
    """Do a small request; return its run."""
    done = forum("submit", "1. write the docs 2. build the css", *PLAN, "--json", *more, cwd=directory)
    assert done.code == 0, done
    return str(done.json()["run_id"])


def program(directory: Path, name: str, code: str) -> None:
    """Put a program of that name there."""
    (directory / name).write_text(f"#!{sys.executable}\n{code}\n")
    (directory / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that comes first in PATH."""
    directory = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    return directory


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Daemons of this test alone, stopped at its end; a short path, for a socket's may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="forum") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield
        anyio.run(stop_daemons)


def test_each_line_is_typed_or_listed() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    for page in PAGES:
        wanted = [line for line in lines_of(ROOT / page) if line not in ELSEWHERE]
        if wanted and page not in TYPED:
            assert f'Typist("{page}"' in here, f"{page}: {wanted}"
    shown = {line for page in PAGES for line in lines_of(ROOT / page)}
    assert set(ELSEWHERE) <= shown, "listed, and in no page"
    for page, file in TYPED.items():
        assert Path(page).name in (ROOT / file).read_text(encoding="utf-8")
    for file, needle, _ in ELSEWHERE.values():
        assert needle in (ROOT / file).read_text(encoding="utf-8"), f"{needle} in {file}"


def test_each_command_within_a_sentence_exists() -> None:
    listed = set(re.findall(r"^  (\S+) ", Path(HELP).read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        for span in inline_of(ROOT / page):
            words = re.sub(r"^uvx ", "", span).split()
            if words[0] == "forum-mcp":
                assert words[1] in listed, span
                path = words[1 : 3 if words[1] in ("ledger", "run", "gate", "config", "models") else 2]
                told = forum(*path, "--help")
                assert told.code == 0, span
                assert [word for word in words if word.startswith("--") and word not in told.out] == [], span
            else:
                assert (ROOT / words[1]).exists() or words[1] == "standalone.py", span


def test_the_readme(tmp_path: Path, programs: Path) -> None:
    program(programs, "llm", "print('done')")
    reader = Typist("README.md", tmp_path)
    reader.skips("uvx forum-mcp demo")
    reader.skips("uvx forum-mcp install claude-code")
    reader.skips("uvx forum-mcp")
    assert reader.types("forum-mcp route").out.startswith("backend")
    assert reader.types("forum-mcp submit --cmd 'llm").out.startswith("done")
    (run,) = re.findall(r"[0-9a-f]{32}", reader.types("forum-mcp run list").out)
    assert "succeeded" in reader.types("forum-mcp run show", mine={"RUN_ID": run}).out
    (tmp_path / "checkpoint.txt").write_bytes(forum("ledger", "checkpoint", cwd=tmp_path).raw)
    assert reader.types("forum-mcp ledger verify").out.startswith("clean: ")
    assert "a request came in" in reader.types("forum-mcp ledger trace", mine={"31": "10"}).out
    assert reader.is_through()


def test_the_readme_from_python(tmp_path: Path) -> None:
    (program_text,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program_text],
        env={**os.environ, "PYTHONPATH": str(ROOT), "FORUM_STATE_DIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = done.stdout.split()
    assert (lines[0], lines.count("done"), lines[-1]) == ("succeeded", 2, "True"), done


def test_gates(tmp_path: Path) -> None:
    reader = Typist("docs/how-to/approve-with-gates.md", tmp_path)
    assert "4" in reader.types("forum-mcp submit --approve", code=4).err
    assert reader.types("forum-mcp gate list").out.startswith("gate 4 ")
    assert "succeeded" in reader.types("forum-mcp gate approve 4").err
    forum("submit", "--approve", "run", *PLAN, "another", cwd=tmp_path)
    (gate,) = re.findall(r"^(?:gate )?(\d+)\b", forum("gate", "list", cwd=tmp_path).out, re.MULTILINE)
    reader.types("forum-mcp gate reject", mine={" 4 ": f" {gate} "})
    assert reader.is_through()


def test_checking_the_answer(tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    reader = Typist("docs/how-to/check-the-answer.md", tmp_path)
    told = reader.types("forum-mcp submit").err
    page = (ROOT / "docs" / "how-to" / "check-the-answer.md").read_text(encoding="utf-8")
    for line in page.partition("```text\n")[2].partition("```")[0].splitlines():
        assert line in told
    assert reader.types("forum-mcp ledger verify").out.startswith("clean: ")
    assert "answer.delivery" in reader.types("forum-mcp ledger show").out
    assert reader.is_through()


def test_judging_the_results(tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    reader = Typist("docs/how-to/judge-the-results.md", tmp_path)
    assert "failed" in reader.types("forum-mcp submit", code=1).err
    assert reader.types("forum-mcp ledger verify").out.startswith("clean: ")
    assert "task.judged" in reader.types("forum-mcp ledger show").out
    assert reader.is_through()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no daemon on Windows")
def test_a_detached_run(tmp_path: Path, daemons: None) -> None:
    configured(tmp_path, delay_ms=60_000)
    reader = Typist("docs/how-to/detach-a-run.md", tmp_path)
    run = reader.types("forum-mcp submit", alone=True).out.strip()
    assert run in reader.types("forum-mcp serve --status", alone=True).out
    assert "running" in reader.types("forum-mcp run show", mine={"6d0f2b...": run}).out
    reader.types("forum-mcp serve --stop", alone=True)
    assert reader.is_through()


def test_a_lane_of_one_s_own_and_an_executor(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "extend.md").read_text(encoding="utf-8")
    lane, own_table = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "roster.toml").write_text(lane)
    reader = Typist("docs/how-to/extend.md", tmp_path)
    assert reader.types("forum-mcp route").out.startswith("poetry")
    assert reader.is_through()
    executors = "".join(f'[executors.{name}]\ntype = "command"\nargv = ["true"]\n' for name in ("small", "strong"))
    (tmp_path / "forum.toml").write_text(f'roster = "roster.toml"\n{executors}{own_table}')
    assert forum("config", "check", "--config", "forum.toml", cwd=tmp_path).code == 0
    program_text = page.partition("```python\n")[2].partition("```")[0]
    before, _, within = program_text.partition("async with")
    whole = f"{before}\nasync def main():\n" + textwrap.indent(f"async with{within}    print(run.answer)\n", "    ")
    done = subprocess.run(
        [sys.executable, "-c", f"{whole}\nimport anyio\nanyio.run(main)"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("done: "), done.stderr


@pytest.mark.skipif(missing(), reason="forum-engine is in the group peer")
def test_importing(tmp_path: Path) -> None:
    ledger, storage = open_peer("file", tmp_path / "old-ledger")
    ledger.append(actor="worker", kind="task", payload={"request": "build it"})
    storage.sync()
    assert submitted(tmp_path)
    reader = Typist("docs/how-to/import-a-forum-engine-ledger.md", tmp_path)
    assert "1" in reader.types("forum-mcp ledger import ./old-ledger --dry-run").out
    assert reader.types("forum-mcp ledger import").code == 0
    assert reader.is_through()


CLAUDE: Final = """
import json, pathlib
pathlib.Path("flag.txt").write_text("--version")
print(json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": "added"}))
"""


def test_a_patch_of_an_agent(tmp_path: Path, programs: Path) -> None:
    program(programs, "claude", CLAUDE)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True, timeout=60)
    reader = Typist("docs/how-to/isolate-a-command.md", tmp_path)
    assert "added" in reader.types("forum-mcp submit").out
    ended = re.findall(r"^\s*(\d+) .*?call\.finished", reader.types("forum-mcp ledger show").out, re.MULTILINE)
    entries = [json.loads(forum("ledger", "get", seq, cwd=tmp_path).raw) for seq in ended]
    *_, patched = [str(entry["seq"]) for entry in entries if "patch" in entry["bodies"]]
    reader.types("forum-mcp ledger get 12", mine={" 12 ": f" {patched} "})
    assert reader.is_through()
    subprocess.run(["git", "apply", "change.patch"], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "flag.txt").read_text() == "--version"


def test_reading(tmp_path: Path) -> None:
    first, second = submitted(tmp_path), submitted(tmp_path)
    submitted(tmp_path, "--ledger", "before.db")
    submitted(tmp_path, "--ledger", "after.db")
    assert forum("ledger", "export", "--ledger", "after.db", "after.jsonl", cwd=tmp_path).code == 0
    assert forum("ledger", "export", "handed-over.jsonl", cwd=tmp_path).code == 0
    reader = Typist("docs/how-to/read-a-ledger.md", tmp_path)
    assert "call." in reader.types("forum-mcp ledger show --kind call", mine={"2026-11-21": "2100-01-01"}).out
    reader.types('forum-mcp ledger show --text "rate limit"')
    assert "run.started" in reader.types("forum-mcp ledger show --limit 50").out
    reader.skips("forum-mcp ledger show --follow")
    assert "a request came in" in reader.types("forum-mcp ledger trace 14").out
    assert "call.finished" in reader.types("forum-mcp ledger trace 3").out
    reader.types("forum-mcp ledger summary")
    a, b = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
    reader.types("forum-mcp ledger summary --run", mine={a: first})
    reader.types("forum-mcp ledger compare before.db")
    reader.types("forum-mcp ledger compare", mine={a: first, b: second})
    assert reader.types("forum-mcp --ledger", alone=True).out == "", "it serves until stdin ends"
    assert reader.is_through()


def test_redacting(tmp_path: Path) -> None:
    first, second = submitted(tmp_path), submitted(tmp_path)
    reader = Typist("docs/how-to/redact.md", tmp_path)
    reader.types("forum-mcp ledger redact --run", mine={"RUN_ID": first})
    reader.types("forum-mcp ledger redact --run", mine={"RUN_ID": first})
    shown = forum("ledger", "show", "--run", second, "--kind", "call.finished", "--json", cwd=tmp_path).json()
    entries: list[dict[str, dict[str, dict[str, str]]]] = shown["entries"]  # type: ignore[assignment]
    reader.types("forum-mcp ledger redact COMMIT", mine={"COMMIT": entries[0]["bodies"]["reply"]["commit"]})
    reader.types("forum-mcp ledger prune")
    verified = reader.types("forum-mcp ledger verify").out
    assert verified.startswith("clean: ")
    assert re.search(r"redacted [1-9]", verified)
    assert reader.is_through()


def configured(directory: Path, delay_ms: int = 0) -> None:
    """Write the user's configuration: two models that recite."""
    for name in ("small", "strong"):
        reply = {"default": {"reply": f"done by {name}", "delay_ms": delay_ms}}
        (directory / f"{name}.json").write_text(json.dumps(reply))
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "forum-mcp" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    tables = "".join(
        f'[executors.{name}]\ntype = "scripted"\nscript = "{directory}/{name}.json"\n' for name in ("small", "strong")
    )
    roles = "".join(f'{role} = ["rules"]\n' for role in ("coordinator", "validator", "synthesizer"))
    file.write_text(f'{tables}[roles]\nworker = ["small"]\n{roles}')
    file.chmod(0o600)


def killed(directory: Path) -> str:
    """Begin a run and kill its process in the middle of a call; return the run."""
    child = subprocess.Popen(
        [*COMMAND, "submit", "1. write the docs 2. build the css"],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    with child.stderr:
        for line in child.stderr:
            if "call.started" in line:
                break
        os.kill(child.pid, signal.SIGKILL)
        child.wait(60)
    (run,) = re.findall(r"[0-9a-f]{32}(?=.*interrupted)", forum("run", "list", cwd=directory).out)
    return str(run)


@pytest.mark.skipif(sys.platform == "win32", reason="it kills with a signal")
def test_going_on_and_forking(tmp_path: Path, daemons: None) -> None:
    configured(tmp_path, delay_ms=60_000)
    run = killed(tmp_path)
    configured(tmp_path)
    reader = Typist("docs/how-to/resume-and-fork.md", tmp_path)
    assert "interrupted" in reader.types("forum-mcp run list").out
    assert "succeeded" in reader.types("forum-mcp run resume", mine={"RUN_ID": run}).err
    configured(tmp_path, delay_ms=60_000)
    another = killed(tmp_path)
    configured(tmp_path)
    assert another in reader.types("forum-mcp run resume --all").out
    configured(tmp_path, delay_ms=60_000)
    third = killed(tmp_path)
    configured(tmp_path)
    detached = reader.types("forum-mcp run resume", alone=True, mine={"RUN_ID": third})
    assert third in detached.out + detached.err, "held by the daemon, or done already"
    assert "done by strong" in reader.types("forum-mcp run fork", mine={"RUN_ID": run, "backend": "frontend"}).out
    reader.types("forum-mcp run fork", mine={"--at 31": "--at 3", "RUN_ID": run})
    reader.types("forum-mcp run show", mine={"RUN_ID": run})
    assert "flowchart" in reader.types("forum-mcp run show", mine={"RUN_ID": run}).out
    assert reader.is_through()


def test_a_quote(tmp_path: Path) -> None:
    reader = Typist("docs/how-to/set-budgets.md", tmp_path)
    quoted = reader.types("forum-mcp plan --quote")
    assert "never done before" in quoted.out + quoted.err
    assert reader.is_through()


def test_local_models(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = FaultServer(listener)
        reader = Typist("docs/how-to/use-local-models.md", tmp_path)
        reader.types("forum-mcp models detect")
        assert "servers" in reader.types("forum-mcp models detect --json").json()
        done = reader.types("forum-mcp submit --local-only", mine={"http://127.0.0.1:11434": server.url})
        assert "hi" in done.out
        assert reader.is_through()
        server.close()


def test_verifying_what_was_handed_over(tmp_path: Path) -> None:
    submitted(tmp_path)
    (tmp_path / "kept.txt").write_bytes(forum("ledger", "checkpoint", cwd=tmp_path).raw)
    submitted(tmp_path)
    key = forum("ledger", "key", "show", cwd=tmp_path).out.split()[-1]
    reader = Typist("docs/how-to/verify-a-ledger.md", tmp_path)
    reader.types("forum-mcp ledger prove")
    assert reader.types("forum-mcp ledger verify --growth", mine={"KEY": key}).out.startswith("clean: growth")
    reader.types("forum-mcp ledger export")
    reader.types("forum-mcp ledger receipt")
    assert reader.is_through()
    alone = ROOT / "forum_mcp" / "ledger" / "standalone.py"
    shutil.copy(alone, tmp_path)
    for handed in ("ledger.jsonl", "receipt.jsonl"):
        verify = [sys.executable, "standalone.py", handed, "--vkey", key]
        done = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout[:11]) == (0, "no findings"), done
