"""English words that say little or nothing about the lane of a request; folded, without apostrophes."""

from typing import Final

__all__ = ["GENERIC", "STOP"]

_STOP: Final = """
a about above actually after again all already also always am an and any anyone anything are arent
as at be been before being but by can cannot cant could couldnt did didnt do does doesnt doing done
dont each either else etc ever every everyone everything few first for from get gets getting give
given gives go goes going gonna got had has have havent having he hello help her here hers hey hi
him his how however i id if ill im in instead into is isnt it its itself ive just keep keeps kind
least less let lets like lot made make makes making many may maybe me might mine more most much must
my need needs never no nor not nothing now of off ok on once one only onto or other others our ours
out own per please put quite rather really s same see she should shouldnt since so some someone
something still such sure t take takes tell than thank thanks that thats the their theirs them then
there these they thing things this those through thus to too toward try two until up upon us use
used uses using very via want wants was wasnt way we well were weve what whats when where whether
which while who whom whose why will with within without wont would wouldnt yes yet you youd your
youre yours yourself
"""

_GENERIC: Final = """
add back bad better break breaking broken bug case cause change changed changes check code correct
crash create default different does down easy end error errors example fail failed failing fails
feature find fix fixed fixes fixing good handle implement improve incorrect input invalid issue item
items large last list long look miss missing name new next number old open option options output
part problem question remove replace request result results return returns run running second select
set sets setting show shows simple single small start stop stops support team text thing three time
type unable unexpected update updated user users value values version work working works write wrong
"""

STOP: Final = frozenset(_STOP.split())
"""Words that speak for no lane by themselves; inside a phrase they count like any other."""

GENERIC: Final = frozenset(_GENERIC.split())
"""Words that speak for a lane where its roster lists them as keywords, never out of a description or an example."""
