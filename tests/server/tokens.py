"""Tokens as o200k counts them, offline."""

import json
from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast

__all__ = ["tokens"]


class _Encoding(Protocol):
    def count(self, text: str) -> int: ...


def _encoding() -> _Encoding:
    library = import_module("rs_bpe.bpe")  # an extension module without types
    return cast("Callable[[], _Encoding]", library.openai.o200k_base)()


def tokens(*parts: object) -> int:
    """Return the o200k tokens of parts as JSON without white space."""
    return _encoding().count(json.dumps(parts, separators=(",", ":"), ensure_ascii=False))
