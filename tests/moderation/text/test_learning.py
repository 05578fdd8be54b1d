"""Learning: it learns, everybody learns the same, and what was learnt survives being written down."""

from __future__ import annotations

import hashlib
from array import array
from itertools import combinations, product
from random import Random

import pytest
from folkmoot.protocol.codec import decode_canonical, encode_canonical
from folkmoot.protocol.moderation.statistics.auc import auc
from folkmoot.protocol.moderation.statistics.confusion import Confusion
from folkmoot.protocol.moderation.text.features import BUCKETS
from folkmoot.protocol.moderation.text.learning import (
    REACH,
    STEPS,
    Judged,
    Recipe,
    best_offsets,
    folds_of,
    learn,
    trainings,
)
from folkmoot.protocol.moderation.text.linear import ONE, WEIGHT_MAX, Example, shuffle, train
from folkmoot.protocol.moderation.text.model import ModelError, TextModel, decode, winner

from tests.moderation.text.making import judged

THREE = Recipe(("fine", "rude", "bad"), cost=0.2, seed=0)
TWO = Recipe(("fine", "bad"), cost=0.2, seed=0)


@pytest.fixture(scope="module")
def learnt() -> TextModel:
    """A model of three classes, learnt from texts some of which are labelled wrongly."""
    return learn(judged(240, 3, seed=1, mistaken=0.1), THREE)


def test_it_learns_what_tells_classes_apart(learnt: TextModel) -> None:
    others = judged(200, 3, seed=2)
    table = Confusion.of(3, ((text.judged, learnt.decide(text.buckets)) for text in others))
    assert table.macro_f1 > 0.95
    area = auc([learnt.score(text.buckets) for text in others], [text.judged > 0 for text in others])
    assert area is not None and area.value > 0.98


def test_the_same_examples_give_the_same_weights_on_any_machine(learnt: TextModel) -> None:
    # Were this hash to differ anywhere, nodes that replay the same decisions would not agree.
    assert learnt.hash() == "e01031a0af476dc8a9ed62a3e907e70af1598b5034fbb33077793fa41a67314d"


def test_another_order_another_seed_or_one_text_less_give_another_model() -> None:
    examples = [Example(text.buckets, text.judged > 0) for text in judged(40, 2, seed=1, mistaken=0.2)]
    heads = [
        train(examples, cost=0.2, seed=0),
        train(examples, cost=0.2, seed=1_000),
        train(examples[:-1], cost=0.2, seed=0),
        train(examples[::-1], cost=0.2, seed=0),
    ]
    assert all(one != other for one, other in combinations(heads, 2))


def test_the_loss_is_close_to_the_least_there_is() -> None:
    texts = judged(60, 2, seed=3, mistaken=0.2)
    examples = [Example(text.buckets, bool(text.judged), 1.0 + (at % 3)) for at, text in enumerate(texts)]
    model = train(examples, cost=0.5, seed=0)

    def loss(weights: list[float], bias: float) -> float:
        slacks = 0.0
        for buckets, positive, weight in examples:
            margin = (sum(weights[b] for b in buckets) / len(buckets) ** 0.5 + bias) * (1 if positive else -1)
            slacks += 0.5 * weight * max(0.0, 1.0 - margin) ** 2
        return (sum(weights[b] ** 2 for b in used) + bias * bias) / 2.0 + slacks

    weights, bias = [weight / ONE for weight in model.weights], model.bias / ONE
    used = sorted({bucket for example in examples for bucket in example.buckets})
    least = loss(weights, bias)
    random = Random(4)
    for _ in range(10):
        moved = list(weights)
        for bucket in random.sample(used, 40):
            moved[bucket] += random.gauss(0.0, 0.05)
        assert loss(moved, bias + random.gauss(0.0, 0.05)) > least * 0.95
    assert least < loss([0.0] * BUCKETS, 0.0) * 0.7


def test_weights_of_texts_count() -> None:
    same = judged(1, 2, seed=5)[0].buckets
    for positive in (True, False):
        examples = [Example(same, positive, 5.0), Example(same, not positive, 1.0)]
        assert (train(examples, cost=1.0, seed=0).margin(same) > 0) is positive


def test_from_nothing_or_from_one_opinion_it_learns_no_more_than_that() -> None:
    assert learn([], TWO).decide(array("I", [1, 2])) == 0
    one_sided = learn([text._replace(judged=1) for text in judged(20, 2, seed=6)], TWO)
    assert one_sided.decide(judged(1, 2, seed=6)[0].buckets) == 1
    assert learn([Judged(array("I"), 1, 0), Judged(array("I"), 0, 1)], TWO).margins([])[0] == 0.0


def test_weights_beyond_what_is_kept_are_cut() -> None:
    model = train([Example([7], True, 1e9), Example([7, 8], False, 1e9)], cost=1e9, seed=0)
    assert all(abs(weight) <= WEIGHT_MAX for weight in model.weights)


def test_offsets_are_the_best_of_all() -> None:
    random = Random(8)
    texts = [(random.choices((0, 1), (5, 1))[0], random.gauss(0.0, 0.4)) for _ in range(150)]
    so = [label for label, _ in texts]
    margins = [(label - 0.9 + noise,) for label, noise in texts]

    def macro_f1(offset: int) -> float:
        return Confusion.of(
            2,
            (
                (label, winner((0.0, margin + offset / STEPS)))
                for label, (margin,) in zip(so, margins, strict=True)
            ),
        ).macro_f1

    [found] = best_offsets(margins, so)
    assert macro_f1(found) == pytest.approx(max(map(macro_f1, range(-REACH, REACH + 1))))
    assert macro_f1(found) > macro_f1(0) + 0.02


def test_offsets_of_three_classes_are_no_worse_than_any_nearby() -> None:
    random = Random(9)
    so = random.choices(range(3), (3, 5, 1), k=200)
    margins = [
        tuple((label == each) - (0.3, 0.2, 0.8)[each] + random.gauss(0.0, 0.4) for each in range(3))
        for label in so
    ]

    def macro_f1(*offsets: int) -> float:
        moved = ([m + o / STEPS for m, o in zip(text, offsets, strict=True)] for text in margins)
        return Confusion.of(3, zip(so, map(winner, moved), strict=True)).macro_f1

    first, *others = best_offsets(margins, so)
    assert first == 0
    best = macro_f1(0, *others)
    for at, step in product(range(2), range(-REACH, REACH + 1, 4)):
        tried = list(others)
        tried[at] = step
        assert best >= macro_f1(0, *tried) - 1e-9
    assert best > macro_f1(0, 0, 0)


def test_texts_of_one_group_stay_in_one_fold_and_folds_are_even() -> None:
    groups = [at // 3 for at in range(300)]
    folds = folds_of(groups, 5, seed=1)
    assert all(len({folds[at] for at in range(first, first + 3)}) == 1 for first in range(0, 300, 3))
    assert [folds.count(fold) for fold in range(5)] == [60] * 5
    assert folds != folds_of(groups, 5, seed=2)


def test_an_order_comes_from_its_seed_alone() -> None:
    order = list(range(12))
    shuffle(order, 42)
    assert order == [9, 6, 7, 10, 3, 11, 4, 2, 0, 8, 5, 1]
    counts = [[0] * 4 for _ in range(4)]
    for seed in range(4_000):
        items = list(range(4))
        shuffle(items, seed)
        for place, item in enumerate(items):
            counts[place][item] += 1
    assert all(850 < count < 1_150 for row in counts for count in row)


def test_progress_is_told_for_every_head() -> None:
    told: list[None] = []
    learn(judged(20, 2, seed=1), TWO, lambda: told.append(None))
    assert len(told) == trainings(TWO) == 4
    assert (trainings(THREE), trainings(Recipe(TWO.classes, 0.2, 0, tuned=False))) == (12, 1)


def test_a_model_is_read_as_it_was_written(learnt: TextModel) -> None:
    data = learnt.encode()
    again = decode(data)
    assert again == learnt and again.encode() == data and again.hash() == hashlib.sha256(data).hexdigest()


def test_what_is_no_model_is_refused_with_the_reason(learnt: TextModel) -> None:
    data = learnt.encode()
    for end in (0, 1, 20, len(data) // 2, len(data) - 1):
        with pytest.raises(ModelError, match="not a text model"):
            decode(data[:end])
    with pytest.raises(ModelError, match="not a text model"):
        decode(data + b"\x00")
    for key, value, said in (
        ("version", 2, "version 2"),
        ("features", 0, "train it anew"),
        ("classes", ["fine"], "2 to 16 classes"),
        ("classes", ["fine", "fine", "bad"], "names of their own"),
        ("classes", ["fine", "bad"], "has 1 heads"),
        ("offsets", [0, 1], "heads with an offset each"),
        ("offsets", [0, 0, 1 << 41], "beyond"),
        ("heads", [{"bias": 0, "weights": b"\x00" * 8}] * 3, "bytes of weights, not 8"),
        ("heads", "weights", "not a text model"),
        ("more", 1, "not a text model"),
    ):
        with pytest.raises(ModelError, match=said):
            decode(encode_canonical({**decode_canonical(data), key: value}))
