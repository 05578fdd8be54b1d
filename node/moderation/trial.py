"""A candidate tried on texts made to be slow, before a community is judged by it.

What judging costs cannot be read off a policy. A pattern such as `[ab]*a[ab]{50}x` is short, valid, linear,
and yet its automaton is in a new state after each character of the right text, and making a state takes a
hundred times longer than going to one that is there. Which text is the right one depends on the pattern: so
texts are made of the letters and the words that stand in the policy, beside some that are slow for any.

Times differ between machines, and from one moment to the next. So a candidate is compared with a reference:
one pattern of that sort, looked for in as long a text by the same thread, and by processor time. It is
refused when it is beyond what is allowed three times in a row, each time with another text of the same make,
and measured by the slowest of several references. Only whoever proposes a policy is told: a node that learns
what is in force judges by it, and holds what takes too long (see `budget`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Any, Final

import re2
from folkmoot.node.moderation.budget import Budget, OverBudget
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.matchers import Matchers, options
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.moderation.bounds import TRIAL_CODE_POINTS, TRIAL_USUAL, TRIAL_WORST
from folkmoot.protocol.moderation.policy import PolicyDocument, PolicyError

REPEATS: Final = 3

_REFERENCE: Final = "[ab]*a[ab]{50}x"
_MEMORY_BYTES: Final = 8 * MIB
_USUAL_CODE_POINTS: Final = 200
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_ALPHABETS: Final = 64  # that patterns are tried with, the commonest
_WORDS: Final = 400  # of lists and patterns, that texts are made of
_NAMED: Final = 3

# What in an expression is no part of what it finds: classes, code points, repetitions, flags.
_NOT_LITERAL: Final = re.compile(
    r"\\[pP](?:\{[^}]*\}|.)|\\x\{[^}]*\}|\\.|\{\d[^}]*\}|\[:[^\]]*:\]|\(\?[^:)]*[:)]"
)
_RUN: Final = re.compile(r"\w+")

SpentS = Callable[[], float]


def tried(document: PolicyDocument, spent_s: SpentS, region: str = "") -> None:
    """Have a policy judge texts that are made to be slow, without its models, which have bounds of their own.

    Args:
        document: a valid policy.
        spent_s: the processor time of this thread, seconds; where it stands still, nothing is refused.
        region: where the document judges, if it is another one elsewhere.

    Raises:
        PolicyError: judging takes too long; it names what of the policy makes it so, and the region.
    """
    try:
        _try(document, spent_s)
    except PolicyError as error:
        where = f" (in region {region})" if region else ""
        raise PolicyError([f"{each}{where}" for each in error.problems]) from error


def _try(document: PolicyDocument, spent_s: SpentS) -> None:
    """The same.

    Raises:
        PolicyError: judging takes too long.
    """
    reference_s = _reference_s(spent_s)
    if not reference_s:
        return
    engine = PolicyEngine(document)
    usual = [_fresh(_random(seed))[:_USUAL_CODE_POINTS] for seed in range(REPEATS)]
    engine.judge(usual[0])  # so that what is done once for all texts is done

    def judge(text: str) -> float:
        began_s = spent_s()
        engine.judge(text)
        return (spent_s() - began_s) / reference_s

    if (times := min(map(judge, usual))) > TRIAL_USUAL:
        said = f"a text of {_USUAL_CODE_POINTS} characters"
        raise PolicyError([_said(times, TRIAL_USUAL, said, "its rules take too long")])
    matchers = Matchers(document)

    def match(text: str) -> bool:
        """Whether a text takes too long."""
        began_s = spent_s()
        try:
            matchers.find(text, Budget(spent_s, began_s, TRIAL_WORST * reference_s))
        except OverBudget:
            return True
        return spent_s() - began_s > TRIAL_WORST * reference_s

    for texts in zip(*(worst_texts(document, seed) for seed in range(REPEATS)), strict=True):
        if all(map(match, texts)):
            why = _slowest(document, texts[0], spent_s, TRIAL_WORST * reference_s / 2)
            raise PolicyError([_said(TRIAL_WORST, TRIAL_WORST, f"a text such as {texts[0][:40]!r}…", why)])


def worst_texts(document: PolicyDocument, seed: int) -> list[str]:
    """Texts that are slow to judge, as long as a post; other seeds give others of the same make.

    Args:
        document: whose letters and words they are made of.
        seed: any number.
    """
    random = _random(seed)
    literals = [_NOT_LITERAL.sub(" ", pattern.regex) for pattern in document.patterns]
    said = islice((run for literal in literals for run in _RUN.findall(literal)), _WORDS)
    listed = [word for entry in document.lists for word in entry.words[: _WORDS // len(document.lists) + 1]]
    words = [*said, *listed] or ["word"]
    texts = [
        _fresh(random),
        "".join(random.choices("a1b3c4d5 ", k=TRIAL_CODE_POINTS)),
        "".join(random.choices("абвгдежз ", k=TRIAL_CODE_POINTS)),
        " ".join(random.choices(words, k=TRIAL_CODE_POINTS)),
        "".join(random.choices([*words, *_LETTERS[:5]], k=TRIAL_CODE_POINTS)),
        Counter("".join(listed) or "a").most_common(1)[0][0] * TRIAL_CODE_POINTS,
    ]
    alphabets = Counter(each for literal in literals for each in dict.fromkeys(_alphabets(literal)))
    for alphabet, _count in alphabets.most_common(_ALPHABETS):
        texts.append("".join(random.choices(alphabet, k=TRIAL_CODE_POINTS)))
    return [text[:TRIAL_CODE_POINTS] for text in texts]


def _alphabets(literal: str) -> Iterator[str]:
    """Two letters each, by which an expression may be kept from ever knowing where it is."""
    letters = [letter for letter, _count in Counter(filter(str.isalnum, literal.lower())).most_common(3)]
    yield from ("".join(sorted((one, other))) for one in letters for other in letters if one < other)
    for letter in letters[:1] or "a":
        yield from ("".join(sorted((letter, other))) for other in "q7" if other != letter)


def _random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - whoever knows these texts gains nothing


def _fresh(random: Random) -> str:
    """Words that nobody has met."""
    words = ("".join(random.choices(_LETTERS, k=7)) for _ in range(TRIAL_CODE_POINTS // 8 + 1))
    return " ".join(words)[:TRIAL_CODE_POINTS]


def _reference_s(spent_s: SpentS) -> float:
    """What the reference takes, seconds: the slowest of several."""
    slowest_s = 0.0
    for seed in range(REPEATS):
        text = "".join(_random(seed).choices("ab", k=TRIAL_CODE_POINTS))
        slowest_s = max(slowest_s, _alone_s(_REFERENCE, text, spent_s))
    return slowest_s


def _alone_s(regex: str, text: str, spent_s: SpentS) -> float:
    """What it takes to look for one expression, in seconds."""
    matching: Any = re2.Set.SearchSet(options(_MEMORY_BYTES))
    matching.Add(regex)
    matching.Compile()
    began_s = spent_s()
    matching.Match(text)
    return spent_s() - began_s


def _slowest(document: PolicyDocument, text: str, spent_s: SpentS, half_s: float) -> str:
    """What takes long at a text: the slowest patterns, or else it is the lists."""
    spent = {each.id: _alone_s(each.regex, text.lower(), spent_s) for each in document.patterns}
    if sum(spent.values()) < half_s:
        return "words that end in one another take too long"
    named = sorted(spent, key=lambda id: -spent[id])[:_NAMED]
    return f"its patterns take too long, first of all {', '.join(named)}"


def _said(times: float, most: int, what: str, why: str) -> str:
    taken = "more than " * (times == most) + f"{times:.0f} times"
    return (
        f"judging {what} takes {taken} as long as the reference, and the most is {most}: "
        f"{why} (docs/moderation.md, What it may cost)"
    )
