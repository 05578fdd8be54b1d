"""The audit finds a bias that was planted, by each measure, and finds none where there is none."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from folkmoot.protocol.moderation.bounds import AUDIT_GROUPS
from folkmoot.protocol.moderation.fairness.bias import GROUP_MIN, Measure, audit
from folkmoot.protocol.moderation.fairness.tally import ANY_RULE, EVERYBODY, OTHERS, Numbers, Tally
from folkmoot.protocol.moderation.statistics.durations import Waits, step_of
from folkmoot.protocol.moderation.statistics.weighted import Weights
from hypothesis import given
from hypothesis import strategies as st

LANGUAGES = ("ar", "de", "en", "fr", "hi", "pl", "pt", "sw", "tr", "zh")


def posts(
    random: Random,
    *,
    flagged: float = 0.02,
    wrongly: float = 0.02,
    overturned: float = 0.2,
    wait_s: float = 3_600.0,
    of: int = 4_000,
) -> Numbers:
    """So many posts of one group, with rates as they are asked for."""
    decided = 200
    wrong = _weights(_of(random, of, wrongly * 0.2), 5.0)
    return Numbers(
        posts=of,
        flagged=_of(random, of, flagged),
        decided=decided,
        overturned=_of(random, decided, overturned),
        waits=Waits(Counter(step_of(random.expovariate(0.693 / wait_s)) for _ in range(100))),
        fine=wrong.plus(_weights(_of(random, of, (1.0 - wrongly) * 0.02), 50.0)),
        fine_flagged=wrong,
    )


def _weights(count: int, weight: float) -> Weights:
    return Weights(count, count * weight, count * weight * weight)


def _of(random: Random, count: int, rate: float) -> int:
    """How many of so many have what a share of them has: by the normal limit, which is quick."""
    spread = (count * rate * (1.0 - rate)) ** 0.5
    return min(count, max(0, round(random.gauss(count * rate, spread))))


def tally_of(by_group: dict[str, Numbers]) -> Tally:
    tally = Tally()
    for group, numbers in by_group.items():
        tally.count([group], [ANY_RULE], numbers)
    return tally


@pytest.mark.parametrize(
    ("measure", "planted"),
    [
        (Measure.FLAG_RATE, {"flagged": 0.08}),
        (Measure.FALSE_POSITIVES, {"wrongly": 0.12}),
        (Measure.OVERTURNED, {"overturned": 0.6}),
        (Measure.WAIT, {"wait_s": 14_400.0}),
    ],
)
def test_a_planted_bias_is_found_where_it_was_planted(measure: Measure, planted: dict[str, float]) -> None:
    random = Random(11)
    groups = {each: posts(random, **(planted if each == "sw" else {})) for each in LANGUAGES}  # type: ignore[arg-type]
    found = audit(tally_of(groups))
    assert [(each.measure, each.group) for each in found.alarms] == [(measure, "sw")]
    [alarm] = found.alarms
    assert alarm.ratio > 2.0 and alarm.ratio_interval.low > 1.25 and alarm.q <= 0.05


def test_without_bias_hardly_any_alarm_is_false() -> None:
    """Of 12 audits with 40 comparisons each, whose groups are all alike."""
    alarms = 0
    for seed in range(12):
        random = Random(seed)
        found = audit(tally_of({each: posts(random) for each in LANGUAGES}))
        assert len(found.compared) == len(LANGUAGES) * len(Measure)
        alarms += bool(found.alarms)
    assert alarms <= 1


def test_who_is_never_decided_about_raises_the_alarm_once_that_is_long_enough() -> None:
    quick = Numbers(waits=Waits({step_of(180.0): 40}))
    for waited_s, alarmed in ((180.0, False), (86_400.0, True)):
        forgotten = Numbers(waits=Waits({}, {step_of(waited_s): 40}))
        found = audit(tally_of({"sw": forgotten, "en": quick}))
        assert [each.group for each in found.alarms] == ["sw"] * alarmed


def test_being_treated_better_is_no_alarm() -> None:
    random = Random(5)
    groups = {each: posts(random, flagged=0.001 if each == "sw" else 0.05) for each in LANGUAGES}
    found = audit(tally_of(groups), [Measure.FLAG_RATE])
    [gentle] = [each for each in found.compared if each.group == "sw"]
    assert gentle.ratio < 0.2 and gentle.q < 0.01 and not gentle.alarm


def test_a_small_excess_is_no_alarm_however_sure_it_is() -> None:
    tally = tally_of(
        {"de": Numbers(posts=100_000, flagged=2_300), "en": Numbers(posts=100_000, flagged=2_000)}
    )
    [german, _] = audit(tally).compared
    assert german.q < 0.001 and german.ratio == pytest.approx(1.15) and not german.alarm


def test_of_few_nothing_is_said() -> None:
    tally = tally_of({"de": Numbers(posts=GROUP_MIN - 1, flagged=9), "en": Numbers(posts=500, flagged=9)})
    found = audit(tally)
    assert found.compared == [] and found.too_few == ["de", "en"]


def test_who_is_in_several_groups_is_in_each_and_counted_once_of_all() -> None:
    tally = Tally()
    tally.count(["one", "two"], [ANY_RULE], Numbers(posts=30, flagged=30))
    tally.count([], [ANY_RULE], Numbers(posts=70))
    assert tally.of(EVERYBODY).posts == 100
    assert tally.rest("one") == Numbers(posts=70)
    assert {each.group for each in audit(tally).alarms} == {"one", "two"}


def test_where_not_all_posts_are_known_the_sample_tells_the_flag_rate() -> None:
    tally = Tally()
    for region, flagged in (("eu", 20), ("us", 2)):
        tally.count([region], [ANY_RULE], Numbers(sampled=Weights(200, 10_000.0, 500_000.0)))
        some = Weights(flagged, flagged * 50.0, flagged * 2_500.0)
        tally.count([region], [ANY_RULE], Numbers(sampled_flagged=some))
    [europe, _] = audit(tally).compared
    assert europe.measure is Measure.FLAG_RATE and europe.value == pytest.approx(0.1) and europe.alarm


def test_tallies_add_up_and_travel() -> None:
    random = Random(2)
    one, other = tally_of({"de": posts(random, of=50)}), tally_of({"en": posts(random), "de": posts(random)})
    one.count(["fr"], ["scams"], Numbers(flagged=1, waits=Waits({3: 1}, {9: 2})))
    both = Tally.from_wire(one.to_wire())
    assert both.to_wire() == one.to_wire()
    both.add(other)
    assert both.of("de").posts == 4_050 and both.of(EVERYBODY).posts == 8_050
    assert both.of("fr", "scams").waits == Waits({3: 1}, {9: 2})


def test_what_is_too_much_for_a_message_tells_the_largest_groups_apart() -> None:
    tally = Tally()
    for group in range(40):
        for rule in range(50):
            tally.count([f"g{group}"], [f"r{rule}"], Numbers(flagged=1))
    tally.count(["g7", "g8"], [ANY_RULE], Numbers(posts=1))
    fitted = tally.fitted(300)
    assert len(fitted) <= 300 and fitted.of(EVERYBODY, "r7").flagged == 40
    assert fitted.groups == [OTHERS, "g0", "g7", "g8"]
    assert sum(fitted.of(group, "r7").flagged for group in fitted.groups) == 40
    assert tally.fitted(10_000) is tally
    again = Tally.from_wire(fitted.to_wire())
    again.add(tally_of({"xx": Numbers(posts=9)}))
    assert again.fitted(150).groups == [OTHERS, "xx"]


def test_who_was_not_told_apart_is_not_compared_and_the_audit_says_so() -> None:
    """Posts of two such groups count twice among them: more than there are."""
    tally = tally_of({"en": Numbers(posts=60, flagged=3)})
    for group in "abcdef":
        tally.count([group, f"{group}2"], [ANY_RULE], Numbers(posts=30, flagged=25))
    whole, part = audit(tally), audit(tally.fitted(3))
    assert whole.says_all and len(whole.compared) == 13
    assert tally.fitted(3).groups == [OTHERS, "en"] and tally.fitted(3).of(OTHERS).posts == 360
    assert part.blurred and not part.says_all and {each.group for each in part.compared} == {"en"}


def test_of_too_many_groups_the_largest_are_compared_and_the_others_named() -> None:
    sizes = {f"x{number}": 40 + number for number in range(AUDIT_GROUPS)}
    groups = {group: Numbers(posts=size, flagged=1) for group, size in sizes.items()}
    small = {"sw": Numbers(posts=39, flagged=30), "few": Numbers(posts=3)}
    found = audit(tally_of({**groups, **small}), [Measure.FLAG_RATE])
    assert found.left_out == ["sw"] and found.too_few == ["few"] and not found.says_all
    assert {each.group for each in found.compared} == groups.keys()
    found = audit(tally_of({**groups, **small, "sw": Numbers(posts=41, flagged=30)}), [Measure.FLAG_RATE])
    assert found.left_out == ["x0"] and [each.group for each in found.alarms] == ["sw"]


@given(*(st.builds(Numbers, *[st.integers(0, 60)] * 4) for _ in range(2)))
def test_whatever_is_taken_away_what_is_left_can_be_compared(everybody: Numbers, part: Numbers) -> None:
    """Tallies come from elsewhere; what makes no sense is no reason to fail."""
    left = everybody.minus(part)
    assert 0 <= left.overturned <= left.decided
    assert left.flagged <= left.posts or not everybody.posts


def test_invented_groups_on_one_page_hide_nothing_of_another() -> None:
    """A part of a small language stands on pages with many larger ones that nobody speaks."""
    pages = [tally_of({"sw": Numbers(posts=360, flagged=54), "en": Numbers(posts=4_000, flagged=80)})]
    for page in range(4):
        invented = {f"x{page}-{number}": Numbers(posts=20) for number in range(60)}
        pages.append(tally_of({"sw": Numbers(posts=10, flagged=9), **invented}))
    everything = Tally()
    for each in pages:
        everything.add(Tally.from_wire(each.fitted(4_096).to_wire()))
    assert everything.of("sw") == Numbers(posts=400, flagged=90)
    found = audit(everything, [Measure.FLAG_RATE])
    assert [each.group for each in found.alarms] == ["sw"] and len(found.left_out) == 242 - AUDIT_GROUPS
