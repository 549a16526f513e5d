"""docs/reference/configuration.md lists every key there is, out of the schema; UPDATE_SNAPSHOTS=1 writes it anew."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import forum_mcp.configs
from forum_mcp.configs.settings import Settings

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"
ANNOTATED: Final = Path(forum_mcp.configs.__file__).parent / "forum.toml"
HEAD: Final = """# Configuration

Generated from the settings (`UPDATE_SNAPSHOTS=1 python -m pytest tests/docs`) and checked by a test. All keys in
context, with examples: [configs/forum.toml](../../configs/forum.toml), or `forum-mcp config reference`.
The JSON Schema: `forum-mcp config schema`.

Precedence: flags > `FORUM_*` variables > project `.forum/config.toml` (in full after `forum-mcp trust`) > user
`config.toml` > defaults. In a variable's name two underscores stand for the dot: `limits.calls` is
`FORUM_LIMITS__CALLS`. In its value commas separate the items of a list, and a table is JSON. There are also
`FORUM_CONFIG` (a configuration file), `FORUM_STATE_DIR` (ledgers, keys, trust) and `NO_COLOR`.

| key | type | default | meaning |
|---|---|---|---|
"""

INLINE: Final = {
    "limits.cpu_s": "processor time of each process, seconds",
    "limits.memory_mb": "memory of all it starts, 10^6 bytes",
    "limits.processes": "processes and threads at a time; 0 is any number",
    "limits.file_mb": "size of each file it writes, 10^6 bytes",
    "limits.open_files": "open files of each process",
    "price.input": "US dollars per million tokens of a prompt",
    "price.output": "US dollars per million tokens of a reply",
    "price.call": "US dollars per call",
    "script": "of type scripted: the file with its replies",
    "checks": "outside checks that a criterion may name: name = executor",
}
"""What has no line of its own in the annotated reference."""

Schema = dict[str, Any]
MADE: Final[Schema] = Settings.model_json_schema()


def resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = cast("Schema", MADE["$defs"][str(schema["$ref"]).rsplit("/", 1)[-1]]) | {
            key: value for key, value in schema.items() if key != "$ref"
        }
    return schema


def leaves(schema: Schema, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield every key that holds a value and no table, with its schema."""
    schema = resolved(schema)
    options = [resolved(option) for option in cast("list[Schema]", schema.get("anyOf", schema.get("oneOf", [])))]
    tables = [option for option in options if "properties" in option]
    if "properties" in schema:
        for name, inner in cast("dict[str, Schema]", schema["properties"]).items():
            yield from leaves(inner, (*path, name))
    elif tables:
        for table in tables:
            yield from leaves(table, path)
    elif isinstance(schema.get("additionalProperties"), dict) and (
        "$ref" in schema["additionalProperties"] or "oneOf" in schema["additionalProperties"]
    ):
        yield from leaves(schema["additionalProperties"], (*path, "NAME"))
    else:
        yield path, schema


def type_of(schema: Schema) -> str:
    """Return a type in words, with its bounds."""
    schema = resolved(schema)
    if "enum" in schema or "const" in schema:
        return ", ".join(str(each) for each in schema.get("enum", [schema.get("const")]))
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(type_of(each) for each in schema[union] if each.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}s"
    if schema.get("type") == "object":
        return "table of strings"
    bounds = [
        f"{sign} {schema[name]:,}".replace(",", "_")
        for name, sign in (("exclusiveMinimum", ">"), ("minimum", ">="), ("maximum", "<="), ("exclusiveMaximum", "<"))
        if name in schema
    ]
    return " ".join([str(schema.get("type", "anything")), *bounds])


def meaning(path: tuple[str, ...]) -> str:
    """Return what the annotated reference says on the line of a key."""
    table: tuple[str, ...] = ()
    for line in ANNOTATED.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"(?:# )?\[([\w.\-]+)\]", line):
            table = tuple(header[1].split("."))
        elif (key := re.match(r"(?:# )?(\w+) = (?:[^#\"]|\"[^\"]*\")*#\s*(.*)", line)) and key[1] == path[-1]:
            named = path[:-1]
            if len(table) == len(named) and all(a in (b, "NAME") for a, b in zip(named, table, strict=True)):
                return key[2].replace("|", "\\|")
    if path[0] in ("categories", "tiers"):
        return meaning(("lanes", *path[1:]))
    return next((words for name, words in INLINE.items() if ".".join(path).endswith(name)), "")


def rows() -> dict[str, str]:
    """Return each dotted key with its line of the table."""
    found: dict[str, str] = {}
    for path, schema in leaves(MADE, ()):
        default = json.dumps(schema["default"]) if schema.get("default") is not None else ""
        key = ".".join(path)
        shown = f"`{default}`" if default else ""
        found.setdefault(key, f"| `{key}` | {type_of(schema)} | {shown} | {meaning(path)} |")
    return found


def test_every_key_has_a_meaning() -> None:
    assert [key for key, row in rows().items() if row.endswith("|  |")] == []


def test_every_key_stands_in_the_reference() -> None:
    made = HEAD + "\n".join(rows().values()) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "run: UPDATE_SNAPSHOTS=1 python -m pytest tests/docs"


def test_the_table_reaches_into_every_part_of_the_settings() -> None:
    known = set(rows())
    assert {"ledger", "limits.calls", "roles.worker", "executors.NAME.argv", "custody.warn_mb"} <= known
    for name in Settings.model_fields:
        assert any(key == name or key.startswith(f"{name}.") for key in known), name
