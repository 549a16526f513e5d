"""The base of every table of the settings."""

from collections.abc import Iterator, Mapping
from typing import Final, Self, cast

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["AMOUNT_MAX", "RecordedSection", "Section", "check_members"]

AMOUNT_MAX: Final = 1_000_000_000
"""Largest amount anybody may name: in millionths it is a number of the record still."""


class Section(BaseModel):
    """A table: unknown keys are refused, values are not converted, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RecordedSection(Section):
    """A table whose values a run's record holds, and that therefore are text, paths included."""

    @model_validator(mode="after")
    def _can_be_recorded(self) -> Self:
        for name, value in self:
            if any(not _is_text(each) for each in _strings(value)):
                raise ValueError(
                    f"{name!r} holds bytes that are not UTF-8, which no record can hold; give text, or run in a UTF-8 "
                    "locale, such as LC_ALL=C.UTF-8"
                )
        return self


def check_members(
    section: Section, type_: str, needs: Mapping[str, tuple[str, ...]], owners: Mapping[str, tuple[str, ...]]
) -> None:
    """Check that a table has the members its type needs, and none that only other types have.

    Raises:
        ValueError: a member of ``needs[type_]`` is missing or empty, or ``owners`` gives one to other types.
    """
    for name in needs[type_]:
        if not getattr(section, name):
            raise ValueError(f"type {type_!r} needs {name!r}")
    for name, types in owners.items():
        if name in section.model_fields_set and type_ not in types:
            raise ValueError(f"{name!r} belongs to type {' or '.join(types)}, not to {type_!r}")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _strings(each)
    elif isinstance(value, dict):
        for name, each in cast("dict[object, object]", value).items():
            yield from _strings(name)
            yield from _strings(each)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
