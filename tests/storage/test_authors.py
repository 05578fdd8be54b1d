"""What a store knows of authors by what it keeps."""

from __future__ import annotations

import pytest
from folkmoot.protocol.moderation.decision import Action, Role
from folkmoot.storage import authors
from folkmoot.storage.authors import Standing, standing
from folkmoot.storage.store import Store

from tests.moderation.decisions import ANN, MAX, MO, NODE, decided, signed
from tests.storage.making import person, post, put, reaction


def test_only_what_an_author_wrote_says_how_long_they_have_been_here(store: Store) -> None:
    ann, ben = person(1), person(2)
    put(store, reaction("like", ben, ann, 1))
    assert standing(store.engine, ann.account) == Standing(None, 0, 0), "others cannot make somebody old"
    first = store.sequence
    put(store, post(ann, 2))
    known = standing(store.engine, ann.account).sequence
    assert known is not None and known > first
    put(store, post(ann, 1), post(ben, 1))  # which says that it is older
    assert standing(store.engine, ann.account).sequence == known
    assert standing(store.engine, ben.account).sequence == store.sequence


def test_a_bounded_number_of_cells_is_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authors, "AUTHOR_CELLS", 2)
    ann = person(1)
    put(store, post(ann, 9))
    oldest = standing(store.engine, ann.account).sequence
    assert oldest is not None
    put(store, post(ann, 1), post(ann, 2))
    found = standing(store.engine, ann.account).sequence
    assert found is not None and found > oldest, "whoever fills the first places only looks younger"


def test_what_people_settled_speaks_for_an_author_or_against_them(store: Store) -> None:
    one, two, three, four = (bytes((number,)) * 32 for number in range(1, 5))
    put(store, signed(decided(Action.HOLD, NODE, role=Role.AUTOMATIC, version=one), NODE))
    assert standing(store.engine, ANN.account) == Standing(None, 0, 0), "no policy says what people think"
    for at, version in enumerate((one, two)):
        put(store, signed(decided(Action.RELEASE, at=at, version=version)))
    put(store, signed(decided(Action.REJECT, at=2, version=three)))
    assert standing(store.engine, ANN.account) == Standing(None, 2, 3)
    wrong = decided(Action.REJECT, at=3, version=four)
    put(
        store, signed(wrong), signed(decided(Action.RELEASE, MAX, at=4, version=four, reverses=(wrong,)), MAX)
    )
    assert standing(store.engine, ANN.account) == Standing(None, 3, 4), "what was reversed does not count"
    put(store, signed(decided(Action.REJECT, MO, at=5, version=two, role=Role.MODERATOR)))
    assert standing(store.engine, ANN.account) == Standing(None, 2, 4), "who changed their mind has one"
