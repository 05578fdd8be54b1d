"""Lessons: what people decided and answered, as examples of one question for a text model.

A model learns from *settled* decisions (see `outcome`) and from samples (see `sampling`), and from nothing
that a model, a policy or a reporter said. A decision says *yes* to a question, which is the name of a label,
when it puts that label on a post, or takes something from it for a rule that stands for the question. It says
*no* when it lets go or restores, for then nothing is against the post. What else is decided says nothing of
the question: a post that was removed for another reason may be either. An answer says yes or no always, since
whoever gave it was asked for all that is wrong with the post.

What was decided about one version counts once. A sample that was decided about as well is the decision's:
what was decided about stands for itself, and the samples for all that was not, each for 1/p posts, p being
the probability with which it was drawn (a stratum that is taken whole, and one that is sampled: Särndal et
al. 1992, "Model Assisted Survey Sampling", section 3.7). That it was drawn is kept all the same, since who
counts what is posted has to count the whole sample. Where decisions about a version say both yes and no, the
answer is what was found, and stands for that version alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from folkmoot.protocol.moderation.decision import Action, Decision
from folkmoot.protocol.moderation.outcome import Outcome
from folkmoot.protocol.moderation.sampling import MILLION, Sample

STANDS_FOR_MOST: Final = 50.0
"""How many posts one sample stands for at most: what is drawn very rarely would shake the whole model."""

_TAKES: Final = frozenset({Action.WARN, Action.LIMIT, Action.REMOVE, Action.REJECT})
_GIVES: Final = frozenset({Action.RELEASE, Action.RESTORE})


class Lesson(NamedTuple):
    """One version of a post, and what somebody found.

    Args:
        stamp: when, in microseconds since 1970.
        version: the id (32 bytes) of the record.
        so: whether the answer to the question is yes.
        by: who found it (34 bytes).
        author: of the post (34 bytes).
        post_item: the post's (16 bytes).
        millionths: the probability with which it was drawn; 0 where it was decided about.
        also_drawn: of what was decided about, the probability with which it was drawn as well, in millionths;
            0 where it was not.
    """

    stamp: int
    version: bytes
    so: bool
    by: bytes
    author: bytes
    post_item: bytes
    millionths: int = 0
    also_drawn: int = 0

    @property
    def drawn(self) -> int:
        """With what probability it was drawn, decided about or not, in millionths; 0 where it was not."""
        return self.millionths or self.also_drawn

    @property
    def stands_for(self) -> float:
        """How many posts it stands for."""
        return min(MILLION / self.millionths, STANDS_FOR_MOST) if self.millionths else 1.0


def lessons_of(
    question: str,
    rules: Collection[str],
    decided: Iterable[tuple[bytes, Outcome]],
    samples: Iterable[Sample],
) -> list[Lesson]:
    """What there is to learn of a question, in the order in which it was found; the same in whatever order it
    comes.

    Args:
        question: the name of a label.
        rules: names of the policy's rules that stand for it: what is taken for one of them is so.
        decided: what follows from all decisions about each post, with the post's author (34 bytes).
        samples: see there.
    """
    found: dict[bytes, list[Lesson]] = {}
    for author, outcome in decided:
        for decision in outcome.settled():
            so = says(decision, question, rules)
            if so is not None and decision.subject.kind == "post":
                about = decision.version, so, decision.decider, author, decision.subject.item
                found.setdefault(decision.version, []).append(Lesson(decision.number, *about))
    drawn: dict[bytes, Lesson] = {}
    for sample in samples:
        draw, answer = sample.draw, sample.answer
        about = draw.version, question in answer.labels, answer.reviewer, sample.author, draw.post_item
        lesson = Lesson(sample.answered_us, *about, draw.millionths)
        drawn[draw.version] = max(lesson, drawn.get(draw.version, lesson))
    lessons = (_of_version(found.get(each, ()), drawn.get(each)) for each in found.keys() | drawn.keys())
    return sorted(lesson for lesson in lessons if lesson is not None)


def says(decision: Decision, question: str, rules: Collection[str]) -> bool | None:
    """Whether a decision answers a question with yes or no; None where it says nothing of it."""
    if question in decision.labels or (decision.action in _TAKES and decision.rule in rules):
        return True
    return False if decision.action in _GIVES else None


def _of_version(decided: Collection[Lesson], drawn: Lesson | None) -> Lesson | None:
    """What there is to learn of one version; None where that is nothing.

    Args:
        decided: what its decisions say.
        drawn: what the answer to its draw says, if there is one.
    """
    if not decided:
        return drawn
    if len({each.so for each in decided}) == 1:
        return max(decided)._replace(also_drawn=0 if drawn is None else drawn.millionths)
    return None if drawn is None else drawn._replace(millionths=0, also_drawn=drawn.millionths)
