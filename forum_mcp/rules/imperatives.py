"""English verbs that begin a request, and the words around them; folded."""

from typing import Final

__all__ = ["AMBIGUOUS", "BACKWARD", "DETERMINERS", "IMPERATIVES", "POLITE"]

_CLEAR: Final = """
adapt add adjust analyse analyze apply archive arrange ask assess attach automate bake balance
benchmark boil book brainstorm calculate choose clarify classify clean collect combine compare
compile compose compute configure connect convert cover crawl create cut debug decide define deliver
deploy deprecate derive describe determine develop diagnose disable discuss document download draft
draw email enable ensure estimate evaluate examine explain explore expose extend extract fetch
figure fill find finish fix follow format gather generate get give handle harden help identify
implement import improve include increase inspect install integrate introduce investigate keep label
learn list localise localize locate look lower make measure merge migrate mock model modernise
modernize modify monitor move normalise normalize notify offer open optimise optimize organise
organize outline pack parse perform pick plot polish port post prepare present prevent print
prioritise prioritize produce profile propose prove provide provision publish pull push put raise
rank read rebuild recommend record reduce refactor remove rename render reorganise reorganize
replace reply report reproduce rerun research resolve restructure retrieve return rewrite roll
rotate run save scan scrape secure select send set setup ship shorten simplify simulate sketch solve
sort speed split standardise standardize start stop store streamline study suggest summarise
summarize support survey swap switch sync synthesise synthesize tag take teach tell tidy track train
transcribe transform translate triage tune turn update upgrade upload use validate verify visualise
visualize wire write
"""

_AMBIGUOUS: Final = """
answer audit back break build call change check cite close code commit copy cost cross design dump
edit export filter forecast group host index interview invoice lint load log map mark note package
paint patch plan price process prototype query quiz quote rate release review sample schedule score
search share show sign stage stub style submit tailor target template test trace update view walk
watch work wrap
"""

_DETERMINERS: Final = """
a all an another any both each every her his how its me my new our some that the their these this
those us what which why your
"""

_POLITE: Final = """
also can could finally first firstly hey hi i id just kindly lastly lets like need next now please
second secondly then third to want we will would you
"""

_BACKWARD: Final = """
conclusion conclusions everything findings it its outcome recommendation result results summary that them
these they this those
"""

IMPERATIVES: Final = frozenset((_CLEAR + _AMBIGUOUS).split())
"""Verbs a request may begin with."""

AMBIGUOUS: Final = frozenset(_AMBIGUOUS.split())
"""Those that are as often nouns: in the middle of a sentence they need a determiner after them."""

DETERMINERS: Final = frozenset(_DETERMINERS.split())
"""Words that show that what stands before them is a verb."""

POLITE: Final = frozenset(_POLITE.split())
"""Words that may stand before the verb of a request."""

BACKWARD: Final = frozenset(_BACKWARD.split())
"""Words that point back at what was said, or will have been found out, before."""
