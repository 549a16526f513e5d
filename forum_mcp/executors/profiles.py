"""What is known of the agent programs people have: the flags to run them once, and how to read what they print.

Every profile gives the prompt on stdin, wants a machine-readable answer where the program has one, keeps other MCP
servers out where the program lets us (an agent that calls a forum again would never end) and leaves no session behind.
The flags and forms are those of the programs themselves, tried with claude 2.1, codex 0.169, gemini 0.61, opencode 1.18
and llm 0.36 (``tests/outside``); ollama's are by its manual.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, cast

import msgspec

from forum_mcp.executors.base import Egress
from forum_mcp.executors.reading import as_count, as_name, as_object, class_of_status, error_text
from forum_mcp.rules.failures import ErrorClass

__all__ = ["PROFILES", "Profile", "Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a program said of its attempt; what it does not tell is None.

    ``error`` and ``detail`` are its own word on a failure, ``text`` is its reply.
    """

    text: str | None = None
    error: ErrorClass | None = None
    detail: str | None = None
    finish_reason: str | None = None
    served_model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_microusd: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One program.

    Attributes:
        program: its name on PATH.
        flags: model or None, True when it works in a git worktree -> the arguments after the program.
        read: stdout, stderr -> what it said.
        env: variables it is given beside the clean environment.
        egress: how far what it is told travels, unless the settings say otherwise.
        stdout_bytes: most bytes it may print: events tell all it did, not the reply alone.
    """

    program: str
    flags: Callable[[str | None, bool], list[str]]
    read: Callable[[bytes, str], Report]
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    egress: Egress = "internet"
    stdout_bytes: int = 33_554_432


def _claude_flags(model: str | None, worktree: bool) -> list[str]:
    flags = ["-p", "--output-format", "json", "--no-session-persistence", "--strict-mcp-config"]
    flags += ["--permission-mode", "acceptEdits"] if worktree else []
    return flags + (["--model", model] if model else [])


def _read_claude(stdout: bytes, _stderr: str) -> Report:
    """Read the one object ``--output-format json`` prints."""
    said = as_object(_json(stdout))
    if said.get("type") != "result":
        return _unread("the result object of claude")
    usage = as_object(said.get("usage"))
    counted = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    models = as_object(said.get("modelUsage"))
    priced = models and all(as_object(each).get("costBasis") != "unknown" for each in models.values())
    cost = said.get("total_cost_usd")
    result = said.get("result")
    text = result if isinstance(result, str) else None
    failed = said.get("is_error") is True or said.get("subtype") != "success"
    finish_reason = as_name(said.get("stop_reason"))
    return Report(
        text=None if failed else text,
        error=_class_of(said.get("api_error_status")) if failed else _class_of_finish(finish_reason),
        detail=(text or as_name(said.get("subtype")) or "claude reports an error")[:300] if failed else None,
        finish_reason=finish_reason,
        served_model=_models(models),
        tokens_in=_sum(usage.get(name) for name in counted),
        tokens_out=as_count(usage.get("output_tokens")),
        cost_microusd=round(cost * 1e6) if priced and isinstance(cost, int | float) and 0 <= cost < 1e6 else None,
    )


def _codex_flags(model: str | None, worktree: bool) -> list[str]:
    flags = ["exec", "--json", "--skip-git-repo-check", "--ephemeral", "--color", "never"]
    flags += ["--sandbox", "workspace-write" if worktree else "read-only"]
    return flags + (["--model", model] if model else []) + ["-"]


def _read_codex(stdout: bytes, _stderr: str) -> Report:
    """Read the events of ``codex exec --json``: the last message of the agent is the reply."""
    text = error = None
    usage: Mapping[str, object] = {}
    ended = False
    for event in _events(stdout):
        item = as_object(event.get("item"))
        match event.get("type"):
            case "item.completed" if item.get("type") == "agent_message":
                text = item.get("text")
            case "turn.completed":
                usage, ended = as_object(event.get("usage")), True
            case "turn.failed" | "error":
                error = error_text(event) or "codex reports an error"
            case _:
                pass
    if error is None and not ended:
        return _unread("a finished turn of codex")
    return Report(
        text=text if isinstance(text, str) and error is None else None,
        error=None if error is None else _class_of_words(error),
        detail=error,
        tokens_in=as_count(usage.get("input_tokens")),
        tokens_out=as_count(usage.get("output_tokens")),
    )


def _gemini_flags(model: str | None, worktree: bool) -> list[str]:
    flags = ["--output-format", "json", "--skip-trust", "--allowed-mcp-server-names", "none"]
    flags += ["--approval-mode", "auto_edit"] if worktree else []
    return flags + (["--model", model] if model else [])


def _read_gemini(stdout: bytes, stderr: str) -> Report:
    """Read the one object ``--output-format json`` prints; on an error it may stand in stderr."""
    said = as_object(_json(stdout)) or as_object(_json(stderr[stderr.find("{") :].encode()))
    if (failure := error_text(said)) is not None:
        return Report(error=_class_of(as_object(said.get("error")).get("code")), detail=failure)
    if "response" not in said:
        return _unread("the response object of gemini")
    models = as_object(as_object(said.get("stats")).get("models"))
    tokens = [as_object(as_object(each).get("tokens")) for each in models.values()]
    text = said.get("response")
    return Report(
        text=text if isinstance(text, str) else None,
        served_model=_models(models),
        tokens_in=_sum(each.get("prompt") for each in tokens),
        tokens_out=_sum(each.get(name) for each in tokens for name in ("candidates", "thoughts")),
    )


def _opencode_flags(model: str | None, _worktree: bool) -> list[str]:
    return ["run", "--format", "json", *(["--model", model] if model else [])]


def _read_opencode(stdout: bytes, _stderr: str) -> Report:
    """Read the events of ``opencode run --format json``: texts, and the tokens of each step."""
    texts: list[str] = []
    tokens: list[Mapping[str, object]] = []
    reason = error = None
    for event in _events(stdout):
        part = as_object(event.get("part"))
        match event.get("type"):
            case "text" if isinstance(part.get("text"), str):
                texts.append(str(part["text"]))
            case "step_finish":
                tokens.append(as_object(part.get("tokens")))
                reason = as_name(part.get("reason"))
            case "error":
                fault = as_object(event.get("error"))
                error = error_text(as_object(fault.get("data"))) or as_name(fault.get("name")) or "an error"
            case _:
                pass
    if error is None and not tokens:
        return _unread("a finished step of opencode")
    return Report(
        text="\n".join(texts) if texts and error is None else None,
        error=_class_of_finish(reason) if error is None else _class_of_words(error),
        detail=error,
        finish_reason=reason,
        tokens_in=_sum(
            count
            for each in tokens
            for count in (each.get("input"), *(as_object(each.get("cache")).get(name) for name in ("read", "write")))
        ),
        tokens_out=_sum(each.get(name) for each in tokens for name in ("output", "reasoning")),
    )


def _llm_flags(model: str | None, _worktree: bool) -> list[str]:
    return ["prompt", "--no-stream", "--no-log", "--usage", *(["--model", model] if model else [])]


_LLM_USAGE: Final = re.compile(r"Token usage: ([\d,]+) input, ([\d,]+) output")


def _read_llm(stdout: bytes, stderr: str) -> Report:
    """Read plain text, and the line of usage that ``--usage`` leaves on stderr."""
    found = _LLM_USAGE.search(stderr)
    tokens_in, tokens_out = (int(count.replace(",", "")) for count in found.groups()) if found else (None, None)
    return Report(text=stdout.decode("utf-8", "replace"), tokens_in=tokens_in, tokens_out=tokens_out)


def _ollama_flags(model: str | None, _worktree: bool) -> list[str]:
    return ["run", "--verbose", "--nowordwrap", "--hidethinking", *([model] if model else [])]


_OLLAMA_COUNT: Final = re.compile(r"^(prompt )?eval count:\s+(\d+)", re.MULTILINE)


def _read_ollama(stdout: bytes, stderr: str) -> Report:
    """Read plain text, and the counts that ``--verbose`` leaves on stderr."""
    counts = {prompt or "reply": int(count) for prompt, count in _OLLAMA_COUNT.findall(stderr)}
    text = stdout.decode("utf-8", "replace")
    return Report(text=text, tokens_in=counts.get("prompt "), tokens_out=counts.get("reply"))


def _json(data: bytes) -> object:
    try:
        return cast("object", msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _events(stdout: bytes) -> Iterable[Mapping[str, object]]:
    return (as_object(_json(line)) for line in stdout.splitlines())


def _unread(what: str) -> Report:
    return Report(
        error="bad-response", detail=f"what was printed is not {what}; does this version of it know the flags?"
    )


def _models(used: Mapping[str, object]) -> str | None:
    """Return the names of the models that were used, most often one."""
    return as_name(", ".join(used)) if used else None


def _sum(counts: Iterable[object]) -> int | None:
    known = [count for count in map(as_count, counts) if count is not None]
    return sum(known) if known else None


def _class_of(status: object) -> ErrorClass:
    """Return the class of an error for which the program names an HTTP status."""
    return (class_of_status(status) if isinstance(status, int) else None) or "exit-code"


def _class_of_words(words: str) -> ErrorClass:
    """Return the class of an error for which the program has only words, when they hold an HTTP status."""
    found = re.search(r"\b(?:status|HTTP|error)\D{0,12}([45]\d\d)\b", words, re.IGNORECASE)
    return _class_of(int(found[1]) if found else None)


def _class_of_finish(reason: str | None) -> ErrorClass | None:
    return {"max_tokens": "length", "length": "length", "refusal": "refused"}.get(reason or "")  # type: ignore[return-value]


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "claude": Profile(
            "claude",
            _claude_flags,
            _read_claude,
            MappingProxyType({"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}),
        ),
        "codex": Profile("codex", _codex_flags, _read_codex),
        "gemini": Profile("gemini", _gemini_flags, _read_gemini),
        "opencode": Profile(
            "opencode", _opencode_flags, _read_opencode, MappingProxyType({"OPENCODE_DISABLE_AUTOUPDATE": "1"})
        ),
        "llm": Profile("llm", _llm_flags, _read_llm),
        "ollama": Profile("ollama", _ollama_flags, _read_ollama, egress="none"),
    }
)
"""Name in the settings -> the program."""
