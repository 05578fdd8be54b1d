"""Gathering what people found all over a cluster, and teaching a challenger with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.evaluating.jobs import BLIND
from folkmoot.cli.moderating.pages import all_pages
from folkmoot.cli.moderating.telling import decision_in
from folkmoot.cli.progress import OnProgress
from folkmoot.node.moderation.normalise import folded, tight
from folkmoot.node.moderation.reading import buckets
from folkmoot.node.moderation.submissions import texts_of
from folkmoot.protocol.moderation.bounds import DECISIONS_READ, SCORED_CODE_POINTS, TEXTS_ASKED
from folkmoot.protocol.moderation.decision import Decision
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.moderation.sampling import samples_of
from folkmoot.protocol.moderation.text.challenging import FOLDS, Challenger, Plan, Text, TooLittle, challenge
from folkmoot.protocol.moderation.text.languages import languages_of, primary
from folkmoot.protocol.moderation.text.lessons import Lesson, lessons_of
from folkmoot.protocol.moderation.text.model import ModelError, TextModel, decode
from folkmoot.protocol.moderation.text.weighing import alike_of
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

Bar = Callable[[str], AbstractContextManager[OnProgress]]
_FINE: Final = "fine"


class Found(NamedTuple):
    """What there is to learn from.

    Args:
        lessons: in their order, of the texts that are still there.
        records: of each, the version that it is about.
        gone: the lessons whose texts are not there any more.
        missing: how many ranges did not answer.
    """

    lessons: list[Lesson]
    records: list[Record]
    gone: list[Lesson]
    missing: int


def model_in(file: Path) -> TextModel:
    """The model in a file, which judges one question.

    Raises:
        OperatorError: it is none, or another sort of model.
    """
    try:
        model = decode(file.read_bytes())
    except OSError as error:
        raise OperatorError(f"{file}: {error.strerror}", hint="name the file of a text model") from error
    except ModelError as error:
        raise OperatorError(f"{file}: {error}", hint="folkmoot moderate train makes one") from error
    if len(model.classes) != 2 or model.classes[0] != _FINE:
        raise OperatorError(
            f"{file}: it tells {', '.join(model.classes)} apart; what learns here judges one question",
            hint="folkmoot moderate train makes one",
        )
    return model


async def gather(client: Client, question: str, rules: Collection[str]) -> Found:
    """All that was decided and answered about a question, with the texts that it was about.

    Args:
        client: connected, as somebody who may decide.
        question, rules: see `lessons_of`.

    Raises:
        OperatorError, WireError: from the node, or what it told is not what it should be.
    """
    passed_over: set[bytes] = set()
    decided = await all_pages(client, "moderation.statements", passed_over=passed_over)
    sampled = await all_pages(client, "moderation.samples")
    about: dict[tuple[bytes, Any], list[Decision]] = defaultdict(list)
    for decision, record in map(decision_in, decided.items):
        if record.id not in passed_over:
            about[record.place, decision.subject].append(decision)
    outcomes = [(place, outcome_of(_newest(some))) for (place, _), some in about.items()]
    votes = [Record.from_wire(frame) for frame in sampled.items]
    for vote in votes:
        vote.verify()
    lessons = lessons_of(question, rules, outcomes, samples_of(votes))
    return await with_texts(client, lessons, len({*decided.missing, *sampled.missing}))


async def with_texts(client: Client, lessons: Sequence[Lesson], missing: int = 0) -> Found:
    """Lessons with the versions that they are about, as far as these are there.

    Raises:
        WireError: from the node.
        OperatorError: it told another version than was asked for.
    """
    found = Found([], [], [], missing)
    for start in range(0, len(lessons), TEXTS_ASKED):
        some = lessons[start : start + TEXTS_ASKED]
        asked = [(each.author, each.post_item, each.version) for each in some]
        told = await client.call("moderation.texts", {"posts": asked})
        for lesson, frame in zip(some, told["records"], strict=True):
            if frame is None:
                found.gone.append(lesson)
                continue
            record = Record.from_wire(frame)
            if record.id != lesson.version or record.author != lesson.author:
                raise OperatorError("the node told of another version than was asked for")
            record.verify()
            found.lessons.append(lesson)
            found.records.append(record)
    return found


def seen(records: Sequence[Record], question: str) -> list[Text]:
    """The texts of posts, as a model sees them that judges a question."""
    written = ["\n".join(text for _, text in texts_of(record) or ()) for record in records]
    alike = alike_of([tight(folded(text)).text for text in written])
    return [
        Text(
            buckets(text[:SCORED_CODE_POINTS], blind=question in BLIND),
            number,
            _language(str(record.body.get("lang", "")).lower(), text),
        )
        for text, number, record in zip(written, alike, records, strict=True)
    ]


def taught(found: Found, plan: Plan, current: TextModel, bar: Bar) -> tuple[Challenger, list[Text]]:
    """A challenger, and the texts that it was taught with.

    Raises:
        OperatorError: there is too little to learn from.
    """
    texts = seen(found.records, plan.question)
    random = Random(plan.seed)  # noqa: S311 - repeatable on purpose
    with bar("models taught") as told:
        count = 0

        def one_more() -> None:
            nonlocal count
            count += 1
            told(count, FOLDS + 1)

        try:
            return challenge(found.lessons, texts, plan, current, random, one_more), texts
        except TooLittle as error:
            raise OperatorError(
                str(error), hint="folkmoot moderate sample adds to it, and so does each decision"
            ) from error


def _language(claimed: str, text: str) -> str:
    """What a post says it is in, as far as its text bears that out."""
    return claimed if primary(claimed) in languages_of(text) else ""


def _newest(decisions: Sequence[Decision]) -> list[Decision]:
    """Of those about one subject the ones that count, as nodes count them: by their items, roles first."""
    return sorted(decisions, key=lambda each: (each.role, each.mark))[-DECISIONS_READ:]
