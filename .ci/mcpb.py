"""Build the .mcpb bundle: one file that Claude Desktop and others install with a double click.

usage: python .ci/mcpb.py WHEEL [OUT_DIRECTORY]

The bundle holds our wheel, a project that depends on it and nothing else; the host fetches the rest with uv.
"""

import json
import sys
import zipfile
from pathlib import Path

from forum_mcp import __version__
from forum_mcp.server.instructions import NAME, TITLE
from forum_mcp.tools import TOOLS

ROOT = Path(__file__).parents[1]
SERVER = '"""Started by the host of the bundle: the command line, speaking MCP."""\n\nimport sys\n\n{body}\n'
BODY = 'from forum_mcp.cli import main\n\nsys.argv[1:] = sys.argv[1:] or ["mcp"]\nmain()'
LONG_AGO = (2020, 1, 1, 0, 0, 0)


def manifest() -> dict[str, object]:
    """Return the manifest, MCPB 0.4."""
    registered = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    return {
        "manifest_version": "0.4",
        "name": NAME,
        "display_name": TITLE,
        "version": __version__,
        "description": registered["description"],
        "author": {"name": "The forum-mcp authors"},
        "license": "Apache-2.0",
        "server": {
            "type": "uv",
            "entry_point": "src/server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "src/server.py"],
            },
        },
        "tools": [{"name": tool.name, "description": tool.description} for tool in TOOLS],
        "compatibility": {"platforms": ["darwin", "linux", "win32"], "runtimes": {"python": ">=3.11"}},
    }


def project(wheel: str) -> str:
    """Return the project file of the bundle: our wheel, from beside it."""
    return (
        f'[project]\nname = "{NAME}-bundle"\nversion = "{__version__}"\nrequires-python = ">=3.11"\n'
        f'dependencies = ["{NAME}=={__version__}"]\n\n[tool.uv.sources]\n{NAME} = {{ path = "{wheel}" }}\n'
    )


def build(wheel: Path, out: Path) -> Path:
    """Write the bundle, the same bytes each time, and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    bundle = out / f"{NAME}-{__version__}.mcpb"
    files = {
        "manifest.json": json.dumps(manifest(), indent=2) + "\n",
        "pyproject.toml": project(wheel.name),
        "src/server.py": SERVER.format(body=BODY),
        wheel.name: wheel.read_bytes(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return bundle


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(build(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) == 3 else "dist")))
