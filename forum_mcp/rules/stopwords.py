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

_ELSEWHERE: Final = """
aan aber algo alla alle als anche ao aos au auf aus aux avec bei bij bir bis bu ce cela ces cette che chi com
comme como con cosa cual cuando czy da dalla damit dann dans das dass dat de dei dein del della delle dem den der
des deze di dies diese dieser dit doch donde du durch e een ein eine einem einen einer eines el ella elle ellos en
entre er essa esse est esta estas este esto estos et eu faire fais foi fur gli haben han hat het ho hoe i ich icin
ihr ik il ile ils io isso ist ja jak je jede jedem jeder kan kann kannst kein keine konnen la las le les
leur lo los lui ma mais mas mein meine mes meu mi mich mijn minha mio mir mis moi mon muy na naar nach nao nas ne
nel nella nicht nie niet noch nog non nos notre nous nuestra nuestro num numa nur o ob oder om ont onze op ou para
pas pela pelo perche pero piu po por porque pour pourquoi przez quando que quel quelle quello questa questo qui
sa sans schon se sein seine sem ser ses seu sich sie sin sind sobre son sono sont sua suo sur sus ta te tem
to toi ton tous tout tra tu tus uber uit um uma un una und une uno unos uns unser unsere unter van ve voce vom
von voor vor vos votre vous w waar waarom warum wat weil wenn wer werden wie wij wir wird wo worden y ya z za zijn
zu zum zur а без бы в все вы для до его если есть же за и из или их к как ко ли мне мы на нам не нет ни но о об он
от по почему при с со так то у что чтобы это этот эту я
"""

# Pairs of characters, as words.split_words gives them.
_PAIRS: Final = """
我们 们的 你们 他们 我的 你的 这个 那个 这些 一个 一下 一些 怎么 么办 什么 为什 么这 如何 可以 不能
不会 请帮 帮我 是否 有没 没有 已经 因为 所以 但是 해주 해줘 주세 세요 합니 니다 하는 에서 으로
"""

STOP: Final = frozenset((_STOP + _ELSEWHERE + _PAIRS).split())
"""Words that speak for no lane by themselves; inside a phrase they count like any other."""

GENERIC: Final = frozenset(_GENERIC.split())
"""Words that speak for a lane where its roster lists them as keywords, never out of a description or an example."""
