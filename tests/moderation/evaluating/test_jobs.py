"""What is learnt from and what is measured on: never the same text, however it is written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from folkmoot.cli.evaluating import jobs as jobs_module
from folkmoot.cli.evaluating.corpus import Corpus, form_of, prepare
from folkmoot.cli.evaluating.folders import read_folder
from folkmoot.cli.evaluating.jobs import FOLDS, WEIGHT_MAX, Job, jobs, untaught

from tests.moderation.evaluating.making import (
    HATECHECK,
    SPAM,
    SURGE,
    TEMPLATES,
    WIKIPEDIA,
    messages,
    opinions,
    write,
)

# In words, since numbers in figures look alike to a model.
NUMBERS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]


def corpus(folder: Path) -> Corpus:
    """A folder as models see it."""
    return prepare(read_folder(folder))


def learnt(job: Job) -> set[bytes]:
    """The texts that a job learns from, as what is seen of them."""
    return {bytes(text.buckets) for text in job.texts}


def measured(job: Job) -> set[bytes]:
    """The texts that a job measures on."""
    return {bytes(each.buckets) for each in job.tested}


def leaks(all_jobs: Iterable[Job]) -> int:
    """How many texts are learnt from and measured on by the same job."""
    return sum(len(learnt(job) & measured(job)) for job in all_jobs)


def test_a_text_that_is_measured_on_leaves_the_training_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = messages(30, seed=1)
    write(tmp_path / "train", "sms_spam.csv", SPAM, known)
    # The same rows are in the test folder, under numbers of their own, and one is written differently.
    again = [(at + 500, label, text) for at, label, text in [*known[:4], *messages(10, seed=2)]]
    again[0] = (500, again[0][1], again[0][2].upper().replace(" ", "  "))
    write(tmp_path / "test", "sms_spam.csv", SPAM, again)
    train, test = corpus(tmp_path / "train"), corpus(tmp_path / "test")
    [job] = jobs(train, test, seed=0)
    assert (len(job.texts), job.left_out, len(job.tested)) == (26, 4, 14)
    assert leaks([job]) == 0
    # The check sees what it should: with nothing taken out, all four are found.
    monkeypatch.setattr(jobs_module, "_kept", lambda pool, *_: (pool, 0))
    assert leaks(jobs(train, test, seed=0)) == 4


def test_a_text_of_another_set_is_left_out_too(tmp_path: Path) -> None:
    write(tmp_path / "train", "surge_toxicity.csv", SURGE, [*opinions(9, 1), (77, "I hate tea", "Toxic")])
    write(tmp_path / "test", "hatecheck_en.csv", HATECHECK, [("f", 1, "i hate TEA!", "hateful")])
    [job] = jobs(corpus(tmp_path / "train"), corpus(tmp_path / "test"), seed=0)
    assert (job.model, len(job.texts), job.left_out) == ("hate", 9, 1)


def test_one_folder_is_measured_in_folds_that_together_are_all_of_it(tmp_path: Path) -> None:
    rows = [
        *messages(40, seed=1),
        (90, "ham", "Same, text"),
        (91, "ham", "same text"),
        (92, "ham", "same text!"),
    ]
    write(tmp_path, "sms_spam.csv", SPAM, rows)
    both = corpus(tmp_path)
    folds = list(jobs(both, both, seed=3))
    assert len(folds) == FOLDS and leaks(folds) == 0
    assert sorted(each.place.at for job in folds for each in job.tested) == list(range(43))
    assert {len(job.tested) for job in folds} <= {8, 9}
    # Three rows are one text: whichever fold has one of them cannot learn from those in others.
    assert all(len(job.texts) == 43 - len(job.tested) - job.left_out for job in folds)
    assert 0 < sum(job.left_out for job in folds) <= 6
    assert [[each.place for each in job.tested] for job in jobs(both, both, seed=4)] != [
        [each.place for each in job.tested] for job in folds
    ]


def test_versions_of_one_text_are_never_on_both_sides(tmp_path: Path) -> None:
    rows = [
        (rev, variant, str(rev % 3 == 0), f"the {NUMBERS[rev]} page, by {who}")
        for rev in range(len(NUMBERS))
        for variant, who in (("original", "christian people"), ("identity_swapped", "a sikh"))
    ]
    write(tmp_path, "wikipedia_toxicity_identity.csv", WIKIPEDIA, rows)
    both = corpus(tmp_path)
    folds = list(jobs(both, both, seed=0))
    assert [job.model for job in folds] == ["toxic"] * FOLDS
    # To a blind model both versions are the same text, so a leak could not hide.
    assert leaks(folds) == 0
    for job in folds:
        groups = [both[each.place.set][each.place.at].group for each in job.tested]
        assert all(groups.count(group) == 2 for group in groups)


def test_what_models_of_all_sets_learn_is_evened_and_never_hatecheck(tmp_path: Path) -> None:
    write(
        tmp_path,
        "surge_toxicity.csv",
        SURGE,
        [(at, f"{told} {at}", told) for at, told in enumerate(["Toxic"] * 10 + ["Not Toxic"] * 500)],
    )
    cases = [("f", at, f"case {at}", ("hateful", "non-hateful")[at % 2]) for at in range(6)]
    write(tmp_path, "hatecheck_en.csv", HATECHECK, cases)
    templates = [
        (at, name, "BAD", f"{name} {at}") for at, name in enumerate(["verb_adj"] * 3 + ["name_adj"] * 5)
    ]
    write(tmp_path, "identity_templates_77k.csv", TEMPLATES, templates)
    both = corpus(tmp_path)
    shared = {job.model: job for job in jobs(both, both, seed=0) if job.model in ("toxic", "hate")}
    assert len(shared["hate"].texts) == len(shared["toxic"].texts) == 513
    assert (len(shared["hate"].tested), len(shared["toxic"].tested)) == (6, 5)
    assert {text.weight for text in shared["hate"].texts} == {WEIGHT_MAX, 2.0}


def test_what_nothing_can_judge_is_said(tmp_path: Path) -> None:
    write(tmp_path / "train", "sms_spam.csv", SPAM, [(1, "ham", "only ham")])
    write(tmp_path / "test", "sms_spam.csv", SPAM, messages(5, seed=1))
    write(tmp_path / "test", "hatecheck_en.csv", HATECHECK, [("f", 1, "x", "hateful")])
    train, test = corpus(tmp_path / "train"), corpus(tmp_path / "test")
    assert list(jobs(train, test, seed=0)) == []
    assert untaught(train, "sms_spam") == "the training folder has no sms_spam, or not of every class"
    assert untaught(train, "hatecheck_en") == "nothing in the training folder says what is hate"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ça va?", "ca  VA", True),
        ("p r i z e", "prize", True),
        ("\u0440riz\u0435", "prize", True),
        ("prize", "prizes", False),
        (":)", ":(", False),
        ("", "", True),
    ],
)  # fmt: skip
def test_texts_are_the_same_that_read_the_same(one: str, other: str, same: bool) -> None:
    assert (form_of(one) == form_of(other)) is same
