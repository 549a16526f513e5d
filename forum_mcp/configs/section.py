"""The base of every table of the settings."""

from typing import Final

from pydantic import BaseModel, ConfigDict

__all__ = ["AMOUNT_MAX", "Section"]

AMOUNT_MAX: Final = 1_000_000_000
"""Largest amount anybody may name: in millionths it is a number of the record still."""


class Section(BaseModel):
    """A table: unknown keys are refused, values are not converted, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
