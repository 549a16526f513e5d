"""What a call costs: integer arithmetic over prices that the contract records.

A price that is not known is None, never zero: what is free is priced at zero by somebody, and ``source`` says who.
"""

from typing import Final

import msgspec

__all__ = ["VERSION", "Price", "cost_microusd"]

VERSION: Final = 1

_PICO_PER_MICRO: Final = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The price of a model or command.

    Attributes:
        input_pusd: US dollars per token of the prompt, in units of 10^-12.
        output_pusd: the same per token of the reply.
        call_microusd: US dollars per call beside its tokens, in units of 10^-6.
        source: who says so.
    """

    input_pusd: int
    output_pusd: int
    call_microusd: int = 0
    source: str


def cost_microusd(price: Price, tokens_in: int, tokens_out: int) -> int:
    """Return the cost of one call in millionths of a US dollar, rounded up."""
    pico = tokens_in * price.input_pusd + tokens_out * price.output_pusd
    return price.call_microusd + -(-pico // _PICO_PER_MICRO)
