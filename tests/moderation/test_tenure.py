"""For how long something has been known, by the numbers of changes."""

from __future__ import annotations

from folkmoot.protocol.moderation.bounds import TENURE_APART_US, TENURE_MARKS
from folkmoot.protocol.moderation.tenure import Known, Mark, Tenure
from hypothesis import given
from hypothesis import strategies as st

HOUR = TENURE_APART_US


def test_what_was_there_by_a_mark_is_as_old_as_that() -> None:
    tenure = Tenure([Mark(10, HOUR), Mark(20, 2 * HOUR)], 25)
    assert tenure.known(9) == tenure.known(10) == Known(HOUR, True), "and perhaps older"
    assert tenure.known(11) == tenure.known(20) == Known(2 * HOUR, False)
    assert tenure.known(21) is None and Tenure().known(1) is None


def test_marks_are_apart_and_those_of_a_disk_that_was_count_for_nothing() -> None:
    tenure = Tenure()
    assert tenure.note(5, 0) and not tenure.note(6, HOUR - 1)
    assert not tenure.note(7, -HOUR), "a clock that was set back makes nobody older"
    assert tenure.note(8, HOUR)
    assert tenure.marks == [Mark(5, 0), Mark(8, HOUR)]
    assert Tenure(tenure.marks, 7).marks == [Mark(5, 0)]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=3 * TENURE_MARKS), st.data())
def test_few_marks_tell_ages_shorter_and_never_longer(steps: list[int], data: st.DataObject) -> None:
    tenure, sequence, came = Tenure(), 0, {0: 0}
    for hour, step in enumerate(steps):
        for _ in range(step):
            sequence += 1
            came[sequence] = hour * HOUR - HOUR // 2  # between the marks
        tenure.note(sequence, hour * HOUR)
    assert len(tenure.marks) <= TENURE_MARKS
    assert tenure.marks == sorted(tenure.marks)
    asked = data.draw(st.integers(0, sequence))
    known = tenure.known(asked)
    assert known is not None and known.since_us >= came[asked]
