"""How a client is to start this very installation: an absolute command, since desktop programs have a bare PATH."""

import json
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlparse

__all__ = ["own_command"]

_DIST: Final = "forum-mcp"


def own_command() -> list[str]:
    """Return the words that start this program from anywhere, first an absolute path.

    An environment that ``uvx`` made may be swept from its cache, so there the words are those of ``uvx`` itself.
    """
    if _in_a_cache(Path(sys.prefix)) and (uvx := _uvx()) is not None:
        source = _source()
        return [uvx, *(["--from", source] if source else []), _DIST]
    beside = Path(sys.executable).with_name("forum-mcp.exe" if sys.platform == "win32" else "forum-mcp")
    if beside.is_file():
        return [str(beside)]
    return [sys.executable, "-m", "forum_mcp.cli"]


def _in_a_cache(prefix: Path) -> bool:
    """Tell whether an environment lies in uv's cache, which names its parts ``archive-v0`` or ``environments-v2``."""
    return any(part.startswith(("archive-v", "environments-v", "builds-v")) for part in prefix.parts)


def _uvx() -> str | None:
    """Return the absolute path of uvx: beside the uv that started us, or on PATH."""
    uv = os.environ.get("UV")
    beside = None if uv is None else shutil.which("uvx", path=str(Path(uv).parent))
    found = beside or shutil.which("uvx")
    return None if found is None else str(Path(found).absolute())


def _source() -> str | None:
    """Return the wheel or directory this package was installed from, or None when it came from an index."""
    try:
        text = distribution(_DIST).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    if text is None:
        return None
    url = str(cast("dict[str, object]", json.loads(text)).get("url", ""))
    parsed = urlparse(url)
    if parsed.scheme != "file":
        return url or None
    from urllib.request import url2pathname

    return url2pathname(parsed.path)
