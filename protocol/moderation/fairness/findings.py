"""What a change of policy does to groups: whether one of them is flagged more than the rest because of it.

The same posts are counted under the policy before and the one after, so what differs between the two is the
policies' doing and not chance; whether a group differs from the rest is judged as in any audit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from folkmoot.protocol.moderation.fairness.bias import RATIO_ALARM, Compared, Measure, audit
from folkmoot.protocol.moderation.fairness.tally import ANY_RULE, Numbers, Tally

UNFAIR: Final = "unfair"
"""The name by which such a finding is acknowledged."""

_UNNAMED: Final = "posts that say none"


class Treated(Protocol):
    """How many posts of a group there are, and to how many something happens under either policy."""

    posts: int
    before: int
    after: int


class Worsened(NamedTuple):
    """A group that is flagged so much more than the rest under the policy after that the alarm is up.

    Args:
        group: which.
        what: a sentence for people.
        blocks: whether the change made it so, or worse; else it was so before and is not worse now.
    """

    group: str
    what: str
    blocks: bool


def worsened(groups: Mapping[str, Treated]) -> Iterator[Worsened]:
    """The groups for which the alarm is up, the worst first.

    Args:
        groups: by name, so that each post is in one of them; the empty name is that of posts in none.
    """
    was, will = ({each.group: each for each in _audited(groups, name)} for name in ("before", "after"))
    alarmed = sorted(
        (each for each in will.values() if each.alarm), key=lambda each: -each.ratio_interval.low
    )
    for now in alarmed:
        then = was.get(now.group)
        news = then is None or not then.alarm or now.ratio > then.ratio
        before = 1.0 if then is None else then.ratio
        what = (
            f"{now.group}: {now.value:.2%} of {now.of} posts are flagged, {now.ratio:.2f} times as often as "
            f"others (at least {now.ratio_interval.low:.2f}, where {RATIO_ALARM:g} may be); before, "
            f"{before:.2f} times"
        )
        yield Worsened(now.group, what, news)


def _audited(groups: Mapping[str, Treated], name: str) -> list[Compared]:
    tally = Tally()
    for group, each in groups.items():
        numbers = Numbers(posts=each.posts, flagged=getattr(each, name))
        tally.count([group or _UNNAMED], [ANY_RULE], numbers)
    return list(audit(tally, [Measure.FLAG_RATE]).compared)
