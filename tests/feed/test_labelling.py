"""What labels do for somebody who looks: a table of choices, and what holds of all of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from folkmoot.protocol.feed.audience import Audience, Candidate, Decision, Hide, PageKind, Reason, Show, Warn
from folkmoot.protocol.feed.cautions import Heeding
from folkmoot.protocol.feed.labelling import NO_LABELLING, OWN, labelling_of, preference_of
from folkmoot.protocol.feed.viewer import PUBLIC, viewer_of
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.bounds import LABELLERS
from folkmoot.protocol.moderation.builtin_labels import BUILT_IN
from folkmoot.protocol.moderation.decision import Action
from folkmoot.protocol.moderation.definitions import Blurs, Choice, Definition, Definitions
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.feed.people import ANN, BOB, CAT, ME, NOW_US, post, ref
from tests.moderation.decisions import decided

NODE = KeyPair(b"n" * 32)
PHONE = KeyPair(b"p" * 32, owner=ME.account)
COMMUNITY: Definitions = {**BUILT_IN, "gore": Definition("gore", default=Choice.HIDE, fixed=True)}


def preference(item: bytes, body: dict[str, Any], *, at_us: int = NOW_US, by: KeyPair = ME) -> Record:
    return Record.sign(by, author=ME.account, kind="preference", item=item, body=body, stamp=at_us)


def heeds(labeller: KeyPair, *, on: bool = True, at_us: int = NOW_US, **chosen: str) -> Record:
    return preference(preference_of(labeller.account), {"on": on, "set": chosen}, at_us=at_us)


def own(**chosen: str) -> Record:
    return preference(OWN, {"set": chosen})


def label(value: str, by: KeyPair) -> Label:
    return Label(post(ANN).item, value, by.account, bytes(32), "So.")


def seen(
    records: Sequence[Record],
    candidate: Candidate,
    definitions: dict[bytes, Definitions] | None = None,
    page: PageKind = PageKind.HOME,
) -> Decision:
    viewer = viewer_of(ME.account, records, NOW_US) if records else PUBLIC
    heeding = Heeding(viewer.labelling, definitions, COMMUNITY)
    return Audience(viewer, page, NOW_US, heeding=heeding).decide(candidate)


def choice_of(decision: Decision) -> Choice:
    match decision:
        case Hide(reason):
            assert reason is Reason.LABEL
            return Choice.HIDE
        case Warn():
            return Choice.WARN
    return Choice.IGNORE


RUMOUR = Definition("rumour", blurs=Blurs.MEDIA)
HIDDEN = Definition("lie", default=Choice.HIDE)
OF_BOB: dict[bytes, Definitions] = {BOB.account: {"rumour": RUMOUR, "lie": HIDDEN}}


@pytest.mark.parametrize(
    ("records", "given_label", "choice"),
    [
        ([heeds(BOB)], label("rumour", BOB), Choice.WARN),
        ([heeds(BOB, rumour="hide")], label("rumour", BOB), Choice.HIDE),
        ([heeds(BOB, rumour="ignore")], label("rumour", BOB), Choice.IGNORE),
        ([heeds(BOB)], label("lie", BOB), Choice.HIDE),
        ([heeds(BOB, lie="warn")], label("lie", BOB), Choice.WARN),
        ([heeds(BOB, spam="hide")], label("spam", NODE), Choice.WARN),
        ([heeds(BOB)], label("never defined", BOB), Choice.WARN),
        ([], label("spam", NODE), Choice.WARN),
        ([own(spam="ignore")], label("spam", NODE), Choice.IGNORE),
        ([own(spam="hide")], label("spam", NODE), Choice.HIDE),
        ([own(rumour="hide"), heeds(BOB)], label("rumour", BOB), Choice.WARN),
        ([], label("gore", NODE), Choice.HIDE),
        ([own(gore="ignore")], label("gore", NODE), Choice.HIDE),
    ],
)
@pytest.mark.parametrize("page", PageKind)
def test_what_becomes_of_a_label(
    records: list[Record], given_label: Label, choice: Choice, page: PageKind
) -> None:
    candidate = Candidate(post(ANN), labels=[given_label])
    assert choice_of(seen(records, candidate, OF_BOB, page)) is choice


@pytest.mark.parametrize("chosen", ["ignore", "warn", "hide"])
def test_what_authors_and_decisions_say_is_the_clusters(chosen: str) -> None:
    records = [own(nudity=chosen)]
    by_author = Candidate(post(ANN, labels=["nudity"]))
    outcome = outcome_of([decided(Action.LABEL, version=post(ANN).id, labels=("nudity",))])
    for candidate in (by_author, Candidate(post(ANN), outcome=outcome)):
        assert choice_of(seen(records, candidate)).word == chosen


def test_ones_own_posts_are_never_hidden_by_labels() -> None:
    decision = seen([own(spam="hide")], Candidate(post(ME), labels=[label("spam", NODE)]))
    assert isinstance(decision, Warn), "and what is said of them is told"


def test_an_authors_warning_is_told_whatever_is_chosen() -> None:
    careful = post(ANN, warning="spiders", labels=["nudity"])
    decision = seen([own(nudity="ignore")], Candidate(careful))
    assert isinstance(decision, Warn) and [each.text for each in decision.cautions] == ["spiders"]


@pytest.mark.parametrize(
    ("records", "labels", "expected"),
    [
        ([own(nudity="hide")], [], Show(Reason.LABEL)),
        ([own(nudity="warn")], [], Show()),
        ([heeds(BOB, rumour="hide")], [label("rumour", BOB)], Show(Reason.LABEL)),
    ],
)
def test_a_quoted_post_that_is_hidden_is_left_out(
    records: list[Record], labels: list[Label], expected: Decision
) -> None:
    quoted = post(ANN, labels=["nudity"])
    quoting = post(CAT, quote=ref(quoted))
    assert seen(records, Candidate(quoting, quoted=quoted, quoted_labels=labels), OF_BOB) == expected


def test_cautions_say_what_labels_mean_in_the_readers_language() -> None:
    records = [preference(OWN, {"languages": ["xx", "de"]})]
    decision = seen(records, Candidate(post(ANN), labels=[label("threat", NODE)]))
    assert isinstance(decision, Warn)
    assert decision.cautions[0].told() == {
        **{"source": "label", "text": "threat", "by": NODE.account},
        **{"severity": "alert", "blurs": "content", "name": "Drohung"},
    }


def test_the_newest_labellers_are_kept() -> None:
    people = [KeyPair(bytes([9, number]) * 16) for number in range(LABELLERS + 3)]
    records = [heeds(each, at_us=NOW_US + number) for number, each in enumerate(people)]
    viewer = viewer_of(ME.account, records, NOW_US)
    assert viewer.labelling.labellers.keys() == {each.account for each in people[3:]}
    assert viewer.cut == {"labeller"}
    off = heeds(people[-1], on=False, at_us=NOW_US + 100)
    assert people[2].account in labelling_of([*records, off]).labellers


@pytest.mark.parametrize(
    "body", [{}, {"on": "yes"}, {"on": True, "set": {"x": "maybe"}}, {"on": True, "set": ["x"]}]
)
def test_what_cannot_be_read_is_not_heeded(body: dict[str, Any]) -> None:
    odd = preference(preference_of(BOB.account), body)
    assert viewer_of(ME.account, [odd], NOW_US).labelling == NO_LABELLING


SAID = [
    heeds(BOB, rumour="hide"),
    preference(preference_of(BOB.account), {"on": False}, by=PHONE),
    heeds(CAT, at_us=NOW_US + 1),
    heeds(CAT, at_us=NOW_US + 2, lie="ignore"),
    own(spam="hide"),
    preference(OWN, {"set": {"spam": "ignore"}}, by=PHONE, at_us=NOW_US + 1),
    preference(b"labelsomething", {"on": True}),
    preference(b"notifications", {}),
]


@given(st.permutations(SAID))
def test_a_viewer_is_the_same_in_whatever_order_they_spoke(said: list[Record]) -> None:
    assert viewer_of(ME.account, said, NOW_US).labelling == viewer_of(ME.account, SAID, NOW_US).labelling


VALUES = ["rumour", "lie", "spam", "gore", "nudity"]
CHOSEN = st.dictionaries(st.sampled_from(VALUES), st.sampled_from(["ignore", "warn", "hide"]))


@given(CHOSEN, CHOSEN, st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from([BOB, CAT, NODE]))))
def test_a_post_is_hidden_when_any_of_its_labels_is_and_said_otherwise(
    cluster: dict[str, str], bobs: dict[str, str], said: list[tuple[str, KeyPair]]
) -> None:
    """And nothing that was chosen of one labeller matters for another."""
    subscribed = preference(preference_of(BOB.account), {"on": True, "set": bobs})
    records = [own(**cluster), subscribed]
    labels = [label(*each) for each in dict.fromkeys(said)]
    together = choice_of(seen(records, Candidate(post(ANN), labels=labels), OF_BOB))
    alone = [choice_of(seen(records, Candidate(post(ANN), labels=[each]), OF_BOB)) for each in labels]
    assert together is max(alone, default=Choice.IGNORE)
    for order in itertools.islice(itertools.permutations(labels), 6):
        assert choice_of(seen(records, Candidate(post(ANN), labels=order), OF_BOB)) is together
