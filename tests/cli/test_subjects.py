"""What moderators name: what is written is read back, and what names nothing is refused."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from folkmoot.cli.moderating.subjects import Named, SubjectType
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.moderation.decision import Subject
from folkmoot.protocol.moderation.label import label_item

ANN, BEN = (KeyPair(number.to_bytes(32, "big")).account for number in (1, 2))
POST = bytes(range(16))


@pytest.mark.parametrize(
    "subject",
    [
        Subject("post", POST),
        Subject("list", POST),
        Subject("profile", "näme: of/all".encode()),
        Subject("algorithm", b"beef"),
        Subject("label", label_item(POST, "a:did:b", BEN)),
    ],
)
def test_what_is_written_is_read_back(subject: Subject) -> None:
    named = Named(ANN, subject)
    assert SubjectType().convert(str(named), None, None) == named


@pytest.mark.parametrize(
    "rest", ["", "beef", "list:beef", "follow:beef", "profile:", "label:", f"label:{POST.hex()}:rude:did:x"]
)
def test_what_names_nothing_is_refused(rest: str) -> None:
    with pytest.raises(click.BadParameter, match="ITEM"):
        SubjectType().convert(f"{account_to_text(ANN)}/{rest}", None, None)


def test_it_is_refused_however_python_is_run() -> None:
    program = (
        "from folkmoot.cli.moderating.subjects import SubjectType\n"
        f"SubjectType()('{account_to_text(ANN)}/follow:beef')"
    )
    ran = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode != 0 and "is not a post" in ran.stderr
