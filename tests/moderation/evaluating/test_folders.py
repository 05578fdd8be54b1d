"""Reading folders of labelled sets: what is there, and what is wrong with what is not as it should be."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from folkmoot.cli.evaluating import tables
from folkmoot.cli.evaluating.folders import FolderError, read_folder
from folkmoot.cli.evaluating.forms import BESIDE, FORMS, HATE, QUESTIONS, TOXIC
from folkmoot.cli.evaluating.tables import TableError

from tests.moderation.evaluating.making import HATECHECK, SPAM, TEMPLATES, WIKIPEDIA, messages, write

DAVIDSON = ("row_id", "class", "text")


def test_sets_are_found_by_their_names_and_read_with_their_labels(tmp_path: Path) -> None:
    write(tmp_path, "davidson_tweets.csv.gz", DAVIDSON, [(4, "hate", "a &amp; b,\n“c”"), (5, "neither", "d")])
    write(tmp_path, "hatecheck_en.csv", HATECHECK, [("slur_h", 1, "x", "hateful")])
    templates = [(1, "being_adj", "BAD", "e"), (2, "name_adj", "NOT_BAD", "f")]
    write(tmp_path, "identity_templates_77k.csv", TEMPLATES, templates)
    write(tmp_path, "wikipedia_toxicity_identity.csv", WIKIPEDIA, [(9, "original", "True", "g" * 9_999)])
    (tmp_path / "README.md").write_text("no set")
    (tmp_path / "birdwatch_notes.csv").write_text("beside, and not read")
    (tmp_path / "lexicons").mkdir()
    sets = read_folder(tmp_path)
    assert list(sets) == [name for name in FORMS if name in sets] and len(sets) == 4
    hate, neither = sets["davidson_tweets"]
    assert (hate.text, hate.label, hate.answers) == ("a & b,\n“c”", 2, {TOXIC: True, HATE: True})
    assert (neither.label, neither.answers) == (0, {TOXIC: False, HATE: False})
    [case] = sets["hatecheck_en"]
    assert (case.label, case.about, case.tested, dict(case.answers)) == (1, "slur_h", True, {})
    taught, measured = sets["identity_templates_77k"]
    assert (taught.tested, set(taught.answers)) == (False, set(QUESTIONS))
    assert (measured.tested, dict(measured.answers)) == (True, {})
    assert len(sets["wikipedia_toxicity_identity"][0].text) == 2_000


def broken(name: str, data: bytes) -> Callable[[Path], None]:
    """What plants a file."""

    def plant(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return plant


GOOD = b"row_id,label,text\n1,ham,hello\n"


@pytest.mark.parametrize(
    ("plant", "error", "said"),
    [
        (lambda folder: None, FolderError, "no labelled set in it; known names are davidson_tweets, "),
        (broken("other.csv", GOOD), FolderError, "other.csv: no set is called other; rename it to one of"),
        (broken("sms_spam.csv.gz", gzip.compress(GOOD)), FolderError, "sms_spam.csv is the same set"),
        (broken("sms_spam.csv", b""), TableError, "csv: empty; it begins with a line that names"),
        (broken("sms_spam.csv", b"row_id,label,text\n"), TableError, "no labelled texts in it"),
        (broken("sms_spam.csv", b"row_id,label\n1,ham\n"), TableError, "sms_spam.csv:1: no column text;"),
        (broken("sms_spam.csv", GOOD + b"2,eggs,hi\n"), TableError, "csv:3: label is 'eggs'; it is one of"),
        (broken("sms_spam.csv", GOOD + b"2,ham,hi,there\n"), TableError, "sms_spam.csv:3: 4 fields where"),
        (broken("sms_spam.csv", GOOD + b'2,ham,"hi'), TableError, "sms_spam.csv:3: not CSV: unexpected end"),
        (broken("sms_spam.csv", GOOD + b"2,ham,\xff\n"), TableError, "is not UTF-8; save the file as UTF-8"),
        (broken("sms_spam.csv", gzip.compress(GOOD)[:-9]), TableError, "the compressed file is damaged"),
        (broken("sms_spam.csv", gzip.compress(GOOD)[:-8] + bytes(8)), TableError, "file is damaged"),
        (broken("sms_spam.csv", GOOD + b"x" * 3_000), TableError, "a line of over 2,048 characters"),
        (broken("sms_spam.csv", gzip.compress(GOOD + b"2,ham,hello\n" * 900)), TableError, "split the file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_place_and_the_remedy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[Path], None],
    error: type[Exception],
    said: str,
) -> None:
    monkeypatch.setattr(tables, "FIELD_CHARACTERS_MAX", 2_048)
    monkeypatch.setattr(tables, "FILE_CHARACTERS_MAX", 9_000)
    if said.startswith("sms_spam.csv is the same"):
        (tmp_path / "sms_spam.csv").write_bytes(GOOD)
    plant(tmp_path)
    with pytest.raises(error) as caught:
        read_folder(tmp_path)
    assert said in str(caught.value) and str(tmp_path) in str(caught.value)


def test_unknown_files_can_be_left_alone_and_missing_folders_cannot(tmp_path: Path) -> None:
    write(tmp_path, "sms_spam.csv", SPAM, messages(3, seed=1))
    (tmp_path / "other.csv").write_bytes(GOOD)
    assert list(read_folder(tmp_path, skip_unknown=True)) == ["sms_spam"]
    with pytest.raises(FolderError, match="name a folder of labelled sets"):
        read_folder(tmp_path / "nowhere")


def test_no_hatecheck_file_can_teach() -> None:
    names = [name for name in (*FORMS, *BESIDE) if name.startswith("hatecheck")]
    assert len(names) == 3
    assert all(name in BESIDE or not FORMS[name].own for name in names)
