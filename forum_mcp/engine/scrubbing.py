"""Secrets out of a text, before it is committed to and before it is sent on: ``Scrubber.scrub``, a pure function.

Two sorts are known: values that were configured or stand in the environment under a name that says secret, and shapes
that their issuers document so that they can be recognised anywhere. There are no guesses by entropy: a record must not
lose a hash or an id because it looks random. A secret without a known shape that nobody configured is not found.

Each rule looks for a literal first and for its pattern only where that occurs; no pattern nests repetitions, so the
time stays proportional to the length of the text.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

__all__ = ["RULES", "SECRET_MIN_CHARS", "Rule", "Scrubber", "environment_secrets"]

SECRET_MIN_CHARS: Final = 8
"""A configured value shorter than this is left alone: it would take ordinary words out of every text."""


class Rule(NamedTuple):
    """One documented shape: its name, literals of which one must occur, the pattern, and where it is documented."""

    name: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]
    source: str


def _rule(name: str, literals: str, pattern: str, source: str) -> Rule:
    # Before a token stands no character of a word, so that a longer id that merely contains the prefix stays.
    return Rule(name, tuple(literals.split()), re.compile(rf"(?<![A-Za-z0-9]){pattern}", re.ASCII), source)


RULES: Final = (
    _rule("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{24,}", "Anthropic API reference"),
    _rule(
        "openai-key",
        "sk-",
        r"sk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{32,}|[A-Za-z0-9]{32,})",
        "OpenAI API reference",
    ),
    _rule("openrouter-key", "sk-or-", r"sk-or-v1-[0-9a-f]{64}", "OpenRouter authentication"),
    _rule("aws-access-key", "AKIA ASIA", r"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])", "AWS IAM, unique identifiers"),
    _rule("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}", "GitHub, token formats"),
    _rule("github-fine-grained-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,255}", "GitHub, token formats"),
    _rule(
        "gitlab-token",
        "glpat- gldt- glrt- glptt- glcbt- glft- glsoat- glagent-",
        r"gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent)-[A-Za-z0-9_.-]{20,}",
        "GitLab, token prefixes",
    ),
    _rule("google-api-key", "AIza", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])", "Google Cloud, API keys"),
    _rule("google-oauth-token", "ya29.", r"ya29\.[A-Za-z0-9_-]{20,}", "Google OAuth 2.0"),
    _rule("huggingface-token", "hf_", r"hf_[A-Za-z0-9]{30,}", "Hugging Face, user access tokens"),
    _rule("npm-token", "npm_", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])", "npm, access tokens"),
    _rule("pypi-token", "pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,}", "PyPI, API tokens"),
    _rule("slack-token", "xox", r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}", "Slack, token types"),
    _rule("slack-app-token", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,}", "Slack, token types"),
    _rule(
        "slack-webhook",
        "hooks.slack.com",
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_+-]{20,}",
        "Slack, incoming webhooks",
    ),
    _rule(
        "stripe-key", "sk_live_ sk_test_ rk_live_ rk_test_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}", "Stripe, API keys"
    ),
    _rule("stripe-webhook-secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,}", "Stripe, webhook signatures"),
    _rule("sendgrid-key", "SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}", "SendGrid, API keys"),
    _rule("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{64}", "DigitalOcean, API tokens"),
    _rule("age-secret-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", "age, C2SP"),
    _rule(
        "note-signer-key",
        "PRIVATE+KEY+",
        r"PRIVATE\+KEY\+[^\s+]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{40,}",
        "C2SP signed notes",
    ),
    _rule("json-web-token", "eyJ", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}", "RFC 7519"),
    _rule("authorization-header", "earer", r"[Bb]earer[ ]{1,4}[A-Za-z0-9._~+/-]{24,}={0,2}", "RFC 6750"),
    _rule(
        "private-key-block",
        "PRIVATE KEY",
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[^-]{40,20000}-----END "
        r"(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        "RFC 7468, RFC 9580",
    ),
    _rule(
        "password-in-url",
        "://",
        r"[a-z][a-z0-9+.-]{1,20}://[^\s:/@?#]{1,100}:(?!\[scrubbed:)[^\s:/@?#]{3,200}(?=@)",
        "RFC 3986",
    ),
)

_SAYS_SECRET: Final = re.compile(
    r"(?:^|_)(?:KEY|TOKEN|SECRET|SECRETS|PASSWORD|PASSWD|PASS|PWD|CREDENTIAL|CREDENTIALS|APIKEY|PAT|DSN)(?:$|_)|APIKEY$",
    re.IGNORECASE,
)
_NO_SECRET: Final = re.compile(r"[~./\\].*|[A-Za-z]:\\.*|true|false|[0-9]{1,11}|file:.*|env:.*", re.IGNORECASE)
_NOT_NAME: Final = re.compile(r"[^A-Za-z0-9_.:-]")


def environment_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the values of variables whose name says that they are secret: ``env:NAME`` -> value."""
    return {
        f"env:{name}": value
        for name, value in environ.items()
        if _SAYS_SECRET.search(name) and len(value) >= SECRET_MIN_CHARS and not _NO_SECRET.fullmatch(value)
    }


class Scrubber:
    """Takes known secrets out of texts. ``secrets``: name for the count -> value; the values are shown nowhere."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._values: dict[str, str] = {}
        for name, value in (secrets or {}).items():
            plain = value.strip()
            if len(plain) < SECRET_MIN_CHARS:
                continue
            # As it stands, inside JSON, and in a URL.
            for form in (
                plain,
                json.dumps(plain)[1:-1],
                json.dumps(plain, ensure_ascii=False)[1:-1],
                quote(plain, safe=""),
            ):
                self._values.setdefault(form, _NOT_NAME.sub("-", name)[:60] or "configured")
        # A secret that is part of another one must not break it up: the longest is taken first.
        forms = sorted(self._values, key=len, reverse=True)
        self._configured = re.compile("|".join(map(re.escape, forms))) if forms else None

    def scrub(self, text: str) -> tuple[str, dict[str, int]]:
        """Return the text with each secret replaced by ``[scrubbed:<rule>]``, and how many by which rule.

        Scrubbing twice changes nothing more. The names of rules are ASCII, for ``data.scrubbed`` of an entry.
        """
        counts: dict[str, int] = {}
        if self._configured is not None:
            text = self._configured.sub(lambda found: _mark(self._values[found[0]], counts), text)
        for rule in RULES:
            for literal in rule.literals:
                if literal in text:
                    text = rule.pattern.sub(_replacing(rule.name, counts), text)
                    break
        return text, counts

    def scrub_bytes(self, data: bytes) -> tuple[bytes, dict[str, int]]:
        """Scrub bytes that are UTF-8; others come back as they are: a picture holds no token that we could name."""
        try:
            text, counts = self.scrub(data.decode())
        except UnicodeDecodeError:
            return data, {}
        return (text.encode() if counts else data), counts


def _replacing(name: str, counts: dict[str, int]) -> Callable[[re.Match[str]], str]:
    return lambda _: _mark(name, counts)


def _mark(name: str, counts: dict[str, int]) -> str:
    counts[name] = counts.get(name, 0) + 1
    return f"[scrubbed:{name}]"
