"""What an executor's calls cost: the operator's word, what runs for nothing, or the tables of ``genai-prices``."""

from decimal import Decimal
from typing import Final

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors.base import Executor
from forum_mcp.rules.prices import Price

__all__ = ["price_of"]

_FREE: Final = {
    "host": "borne by the client",
    "local": "runs on this machine",
    "sampling": "borne by the client",
    "scripted": "fixed replies",
}
_PRICED: Final = ("anthropic", "chat")
_PICO: Final = 10**12
_SMALL: Final = 1_000
_LARGE: Final = 1_000_000


def price_of(executor: Executor, settings: ExecutorSettings | None) -> Price | None:
    """Return the price of an executor's calls, or None when nobody knows it.

    A server on this machine is not free by that: it may pass calls on. Where a model has prices by size of the prompt
    the dearest counts.
    """
    if settings is not None and settings.price is not None:
        given = settings.price
        return Price(
            input_pusd=round(given.input * _PICO / _LARGE),
            output_pusd=round(given.output * _PICO / _LARGE),
            call_microusd=round(given.call * _LARGE),
            source="configuration",
        )
    if executor.type in _FREE:
        return Price(input_pusd=0, output_pusd=0, source=_FREE[executor.type])
    if executor.type in _PRICED and executor.model is not None:
        return _published(executor.model, settings.url if settings is not None else None)
    return None


def _published(model: str, url: str | None) -> Price | None:
    from importlib.metadata import version

    from genai_prices import Usage, calc_price

    prices: list[tuple[Decimal, Decimal]] = []
    for tokens in (_SMALL, _LARGE):
        usage = Usage(input_tokens=tokens, output_tokens=tokens)
        try:
            found = calc_price(usage, model, provider_api_url=url) if url is not None else calc_price(usage, model)
        except LookupError:
            return None
        prices.append((found.input_price / tokens, found.output_price / tokens))
    dearest_in, dearest_out = max(each[0] for each in prices), max(each[1] for each in prices)
    return Price(
        input_pusd=round(dearest_in * _PICO),
        output_pusd=round(dearest_out * _PICO),
        source=f"genai-prices {version('genai-prices')}",
    )
