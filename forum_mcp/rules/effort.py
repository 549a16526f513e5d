"""A JSON Schema validator whose effort is counted, in the same steps everywhere.

Plans and outputs come from models. The library compares each with each where items are to differ, tries every branch
below every branch, and puts a whole output into the words of each error: a schema of 300 bytes can take for ever. Here
each keyword that is tried costs a step, and more by what it looks through or quotes; equality is a look-up.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, TypeAlias, cast

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["NEVER_RUN", "STEPS_MAX", "VERSION", "Endless", "TooMuch", "validator_of"]

VERSION: Final = 1
STEPS_MAX: Final = 200_000
"""Steps one output may take; a thousand take about 5 ms."""

NEVER_RUN: Final = frozenset({"pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems"})
"""Keywords whose effort cannot be counted: a regular expression, and what asks again whatever was asked before."""

_REFERENCES: Final = ("$ref", "$dynamicRef")
_FOLLOWED_MAX: Final = 10_000
_LOOKED_AT: Final = 8
"""Members looked through for one step."""
_QUOTED: Final = 500
"""Characters put into an error for one step."""

_Keyword: TypeAlias = "Callable[[Validator, object, object, Mapping[str, object]], Iterable[ValidationError] | None]"


class TooMuch(Exception):
    """The output takes more steps than it may."""


class Endless(Exception):
    """The references of a schema lead on and on."""


def validator_of(schema: Mapping[str, object], most: int = STEPS_MAX) -> "Validator":
    """Return a validator for one output; it raises ``TooMuch`` or ``Endless``, and fetches nothing."""
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    effort = _Effort(most, schema)
    known = cast("dict[str, _Keyword]", dict(Draft202012Validator.VALIDATORS))
    own: dict[str, _Keyword] = {"uniqueItems": effort.unique, "enum": effort.enum, "const": effort.const}
    counted = {name: effort.counted(name, keyword) for name, keyword in {**known, **own}.items()}
    make = cast("Callable[..., Validator]", validators.extend(Draft202012Validator, counted))  # type: ignore[no-untyped-call]
    plain = {name: value for name, value in schema.items() if name != "$schema"}  # which would choose another class
    return make(plain, registry=Registry[object]())


class _Effort:
    """Steps taken for one output, and what was found out about its values, which live as long as this does."""

    def __init__(self, most: int, schema: Mapping[str, object]) -> None:
        self._left = most
        self._schema = schema
        self._followed = 0
        self._under_way: set[tuple[str, int]] = set()
        self._keys: dict[int, object] = {}
        self._weights: dict[int, int] = {}
        self._enums: dict[int, frozenset[object]] = {}

    def counted(self, name: str, keyword: _Keyword) -> _Keyword:
        """Return the keyword, its effort counted."""

        def count(
            validator: "Validator", value: object, instance: object, schema: Mapping[str, object]
        ) -> "Iterator[ValidationError]":
            if name in NEVER_RUN:
                raise TooMuch
            self._spend((_size(value) + _size(instance)) // _LOOKED_AT)
            if (refusals := _refusals(value)) > 0:
                self._spend(refusals * self._weight(instance) // _QUOTED)
            with self._following(str(value), instance) if name in _REFERENCES else nullcontext():
                for error in keyword(validator, value, instance, schema) or ():
                    self._spend((self._weight(instance) + self._weight(value)) // _QUOTED)
                    yield error

        return count

    @contextmanager
    def _following(self, reference: str, instance: object) -> Generator[None, None, None]:
        """Follow a reference; one that led here for the same part of the output would lead here for ever."""
        self._followed += 1
        step = (reference, id(instance))
        if self._followed > _FOLLOWED_MAX or step in self._under_way:
            raise Endless
        self._spend(self._distance(reference))
        self._under_way.add(step)
        try:
            yield
        finally:
            self._under_way.discard(step)

    def unique(
        self, validator: "Validator", value: object, instance: object, _: Mapping[str, object]
    ) -> "Iterator[ValidationError]":
        """Do what ``uniqueItems`` asks, in one pass."""
        from jsonschema import ValidationError

        if value is True and isinstance(instance, list):
            items = cast("list[object]", instance)
            if len({self._key(each) for each in items}) < len(items):
                yield ValidationError(f"{instance!r} has non-unique elements")

    def enum(
        self, validator: "Validator", value: object, instance: object, _: Mapping[str, object]
    ) -> "Iterator[ValidationError]":
        """Do what ``enum`` asks, by a look-up."""
        from jsonschema import ValidationError

        known = self._enums.get(id(value))
        if known is None:
            known = self._enums[id(value)] = frozenset(map(self._key, cast("list[object]", value)))
        if self._key(instance) not in known:
            yield ValidationError(f"{instance!r} is not one of {value!r}")

    def const(
        self, validator: "Validator", value: object, instance: object, _: Mapping[str, object]
    ) -> "Iterator[ValidationError]":
        """Do what ``const`` asks."""
        from jsonschema import ValidationError

        if self._key(instance) != self._key(value):
            yield ValidationError(f"{value!r} was expected")

    def _spend(self, steps: int) -> None:
        self._left -= 1 + steps
        if self._left < 0:
            raise TooMuch

    def _distance(self, reference: str) -> int:
        """Return the steps of one look-up: a pointer is read to its end, for an anchor the whole schema is searched."""
        if reference == "#" or reference.startswith("#/"):
            return len(reference) // _LOOKED_AT
        return self._weight(self._schema) // _LOOKED_AT

    def _key(self, value: object) -> object:
        """Return what is equal for values that JSON Schema calls equal: 1 is 1.0, and not true."""
        if isinstance(value, bool):
            return (bool, value)
        if not isinstance(value, list | dict):
            return value
        key = self._keys.get(id(cast("object", value)))
        if key is None:
            if isinstance(value, list):
                key = (list, tuple(map(self._key, cast("list[object]", value))))
            else:
                members = cast("dict[str, object]", value).items()
                key = (dict, frozenset((name, self._key(member)) for name, member in members))
            self._spend(_size(cast("object", value)) // _LOOKED_AT)
            self._keys[id(cast("object", value))] = key
        return key

    def _weight(self, value: object) -> int:
        """Return about how many characters a value takes when it is quoted."""
        if isinstance(value, str):
            return len(value)
        if not isinstance(value, list | dict):
            return 8
        weight = self._weights.get(id(cast("object", value)))
        if weight is None:
            parts = cast("list[object]", [*value, *value.values()] if isinstance(value, dict) else value)
            weight = self._weights[id(cast("object", value))] = 4 + sum(map(self._weight, parts))
        return weight


def _size(value: object) -> int:
    return len(cast("list[object]", value)) if isinstance(value, list | dict) else 0


def _refusals(value: object) -> int:
    """Return how many parts of a keyword are ``false``, each an error that no keyword is tried for."""
    if isinstance(value, dict):
        return sum(each is False for each in cast("dict[str, object]", value).values())
    if isinstance(value, list):
        return sum(each is False for each in cast("list[object]", value))
    return int(value is False)
