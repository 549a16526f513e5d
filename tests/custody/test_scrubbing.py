"""Secrets are taken out of texts before anything is committed to; what is no secret stays."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forum_mcp.engine.scrubbing import RULES, Scrubber, environment_secrets

A = string.ascii_letters + string.digits


def run_of(count: int, alphabet: str = A) -> str:
    """Return the same random letters each time: no token, and nothing a scanner takes for one, stands in this file."""
    return "".join(random.Random(count).choices(alphabet, k=count))


HEX = "0123456789abcdef"
TOKENS = {
    "anthropic-key": "sk-ant-" + "api03-" + run_of(90),
    "openai-key": "sk-" + "proj-" + run_of(60),
    "openrouter-key": "sk-or-" + "v1-" + run_of(64, HEX),
    "aws-access-key": "AK" + "IA" + run_of(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "github-token": "gh" + "p_" + run_of(36),
    "github-fine-grained-token": "github_" + "pat_" + run_of(22) + "_" + run_of(59),
    "gitlab-token": "gl" + "pat-" + run_of(20),
    "google-api-key": "AI" + "za" + run_of(35),
    "google-oauth-token": "ya" + "29." + run_of(60),
    "huggingface-token": "h" + "f_" + run_of(34),
    "npm-token": "np" + "m_" + run_of(36),
    "pypi-token": "py" + "pi-AgE" + run_of(80),
    "slack-token": "xo" + "xb-" + run_of(12, "0123456789") + "-" + run_of(24),
    "slack-app-token": "xa" + "pp-1-" + run_of(40),
    "slack-webhook": "https://hooks." + "slack.com/services/" + "T" + run_of(8) + "/B" + run_of(8) + "/" + run_of(24),
    "stripe-key": "sk_" + "live_" + run_of(24),
    "stripe-webhook-secret": "wh" + "sec_" + run_of(32),
    "sendgrid-key": "S" + "G." + run_of(22) + "." + run_of(43),
    "digitalocean-token": "do" + "p_v1_" + run_of(64, HEX),
    "age-secret-key": "AGE-" + "SECRET-KEY-1" + run_of(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    "note-signer-key": "PRIVATE" + "+KEY+" + "forum-mcp.local/ab+" + run_of(8, HEX) + "+" + run_of(43) + "=",
    "json-web-token": "ey" + "J" + run_of(20) + ".ey" + "J" + run_of(30) + "." + run_of(43),
    "authorization-header": "Bea" + "rer " + run_of(40),
    "private-key-block": "-----BEGIN EC PRIVATE " + f"KEY-----\n{run_of(200)}\n-----END EC PRIVATE " + "KEY-----",
    "password-in-url": "postgres" + "://user:" + run_of(16),
}


def test_every_rule_has_an_example() -> None:
    assert {rule.name for rule in RULES} == TOKENS.keys()
    assert all(rule.source for rule in RULES)


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("around", ["{}@", "key={}@host", '{{"a": "{}@"}}', "({}@)", "\u2028{}@\n", "é {}@ 漢"])
def test_a_token_is_replaced_wherever_it_stands_and_counted(name: str, around: str) -> None:
    text = around.format(TOKENS[name])
    scrubbed, counts = Scrubber().scrub(text)
    assert counts == {name: 1}
    assert TOKENS[name] not in scrubbed
    assert scrubbed == around.format(f"[scrubbed:{name}]")
    assert Scrubber().scrub(scrubbed) == (scrubbed, {})


@pytest.mark.parametrize(
    "text",
    [
        "a task: sk-learn, sk-ant-colony and the risk-free-rate-of-return-as-a-percentage-of-something",
        "commit 9318feee039690722c38c5136a1ab99e3f695094964388f3bb70d50fedddb591",
        "sha256-2jmj7l5rSw0yVb/vlWAYkK/YBwk= and 3f29a1d2-0000-4000-8000-1234567890ab",
        "http://127.0.0.1:8080/mcp?x=1@y https://example.org:443/a@b forum://ledger/entries/7",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----",
        "forum-mcp.local/0123456789abcdef0123456789abcdef+5b8b5ca5+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "Bearer tokens are described in RFC 6750; the bearer of this letter",
        "desk-organiser-with-many-compartments-for-everything",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Scrubber().scrub(text) == (text, {})


def test_configured_values_go_in_every_spelling_and_the_longest_first() -> None:
    scrubber = Scrubber({"chat.api_key": 'p"ss wörd/1', "env:OTHER_TOKEN": 'p"ss wörd/1-and-more', "short": "abc"})
    text = 'p"ss wörd/1-and-more; p"ss wörd/1; {"k": "p\\"ss w\\u00f6rd/1"}; ?k=p%22ss%20w%C3%B6rd%2F1; abc'
    scrubbed, counts = scrubber.scrub(text)
    assert counts == {"chat.api_key": 3, "env:OTHER_TOKEN": 1}
    assert "ss w" not in scrubbed
    assert scrubbed.endswith("; abc"), "what is too short to be told from a word is left"
    assert 'p"ss' not in repr(scrubber)


def test_the_environment_gives_what_says_secret_and_not_paths_or_switches() -> None:
    environ = {
        "CHAT_API_KEY": "0123456789abcdef",
        "DATABASE_PASSWORD": "correct horse",
        "apikey": "lower-case-too",
        "MONKEY": "not-a-secret-at-all",
        "SSH_KEY": "/home/me/.ssh/id",
        "USE_TOKEN": "false",
        "PIN_TOKEN": "1234",
        "HOME": "/home/me",
        "KEYBOARD": "qwertyuiop",
    }
    assert environment_secrets(environ).keys() == {"env:CHAT_API_KEY", "env:DATABASE_PASSWORD", "env:apikey"}


def test_bytes_that_are_no_text_are_left_alone() -> None:
    token = TOKENS["npm-token"].encode()
    assert Scrubber().scrub_bytes(token) == (b"[scrubbed:npm-token]", {"npm-token": 1})
    assert Scrubber().scrub_bytes(b"\xff" + token) == (b"\xff" + token, {})


@given(st.text(alphabet=st.sampled_from("sk-antBEGIN PRIVATEKEY://:@.eyJ_+09"), max_size=400))
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    once, _ = Scrubber({"x": "BEGIN PRIVATE"}).scrub(text)
    assert Scrubber({"x": "BEGIN PRIVATE"}).scrub(once)[0] == once


@pytest.mark.parametrize(
    "piece", ["sk-", "eyJa.eyJ", "-----BEGIN PRIVATE KEY-----", "://a:", "a://b:c", "xox", "Bearer  "]
)
def test_a_hostile_text_of_a_megabyte_is_scrubbed_in_passing(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    Scrubber({"x": piece * 9}).scrub(text)
