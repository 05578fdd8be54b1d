"""`moderate sample` in a terminal: one post after another, until somebody has had enough."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
import trio
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.exit_codes import OK, USAGE
from folkmoot.cli.main import run
from folkmoot.cli.moderating import sample_command
from folkmoot.cli.moderating.blind import Given, given_by_name, labels_in, shown
from folkmoot.cli.output import Output
from folkmoot.protocol.moderation.sampling import Answer, parse_sampling
from folkmoot.protocol.record import Record

from tests.moderation.decisions import ANN, ITEM, MO

GIVEN = Given(b"ticket of " + b"t" * 32, b"d" * 32, 1_700_000_000_000_000, ANN.account, ITEM, b"v" * 32)


def post(text: str, **more: Any) -> Record:
    body = {"text": text, **more}
    return Record.sign(ANN, kind="post", item=ITEM, body=body, stamp=1_700_000_000_000_000)


class Node:
    """Gives out posts one after another.

    Attributes:
        answered: what was answered.
        passed: the tickets of what was passed by.
    """

    def __init__(self, posts: Sequence[Record], status: str = "stored") -> None:
        self.answered: list[Answer] = []
        self.passed: list[bytes] = []
        self._posts = list(posts)
        self._status = status

    async def auth(self, key: Any) -> dict[str, Any]:
        return {"roles": ["moderator"]}

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if method == "moderation.judge":
            record = Record.from_wire(params["record"])
            said = parse_sampling(record.item, record.body)
            assert isinstance(said, Answer) and params["ticket"].startswith(b"ticket of ")
            self.answered.append(said)
            return {"status": self._status, "error": {"message": "the disk is full"}}
        assert method == "moderation.sample"
        self.passed += [params["passing"]] if "passing" in params else []
        if not self._posts:
            return {"post": None, "labels": ["rude"]}
        given = self._posts.pop(0)
        draw = {"id": given.id, "drawn_us": 1_700_000_000_000_000}
        ticket = b"ticket of " + given.id
        return {"post": given.to_wire(), "draw": draw, "ticket": ticket, "labels": ["rude"]}


def talk(node: Node, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What was asked, when these words are typed."""
    asked: list[str] = []
    typed = iter(words)

    def prompt(question: str) -> str:
        asked.append(question)
        return next(typed)

    monkeypatch.setattr("click.prompt", prompt)
    client, output = cast("Any", node), Output(as_json=False)
    trio.run(lambda: sample_command._one_after_another(client, MO, "quorum", output, None))
    return asked


def test_posts_come_one_after_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    posts = [post("good"), post("skipped"), post("bad")]
    node = Node(posts)
    asked = talk(node, monkeypatch, "fine", "skip", "fine, rude", "rude, spam")
    assert len(asked) == 4 and "labels (rude)" in asked[0]
    assert [each.labels for each in node.answered] == [(), ("rude", "spam")]
    assert [each.version for each in node.answered] == [posts[0].id, posts[2].id]
    assert node.passed == [b"ticket of " + posts[1].id]
    said = capsys.readouterr()
    assert said.out.endswith("nothing waits for a blind review\n") and "> bad" in said.out
    assert "is fine" in said.err and "is rude, spam" in said.err


def test_somebody_may_have_had_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node([post("one"), post("two")])
    assert len(talk(node, monkeypatch, "quit")) == 1 and node.answered == []


def test_an_answer_that_is_refused_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperatorError, match="the disk is full"):
        talk(Node([post("one")], status="refused"), monkeypatch, "fine")


class Terminal:
    """Somebody's, as `sys.stdin`."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command in a terminal, with this node; its exit code."""

    def command(node: Node, *words: str) -> int:
        def converse(_: Any, talk: Callable[[Any], Awaitable[Any]]) -> Any:
            return trio.run(talk, node)

        monkeypatch.setattr(sample_command, "converse", converse)
        monkeypatch.setattr(sample_command, "reviewer_key", lambda *_: MO)
        monkeypatch.setattr("sys.stdin", Terminal())
        return run(["moderate", "sample", *words, "--node", "127.0.0.1:1", "--tls", "off"])

    return command


def test_what_is_passed_by_is_passed_by_in_a_terminal_too(command: Callable[..., int]) -> None:
    node = Node([])
    assert command(node, "--pass", GIVEN.name) == OK
    assert node.passed == [GIVEN.ticket]


def test_what_is_answered_is_not_passed_by(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    node = Node([])
    assert command(node, "--answer", GIVEN.name, "--fine", "--pass", GIVEN.name) == USAGE
    assert "--pass" in capsys.readouterr().err and node.answered == []


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (("--fine",), ()),
        (("--label", "fine"), ()),
        (("--label", "rude", "--label", "spam"), ("rude", "spam")),
        (("--label", "rude, spam"), ("rude", "spam")),
    ],
)
def test_labels_are_given_as_they_are_typed(
    command: Callable[..., int], words: Sequence[str], labels: Sequence[str]
) -> None:
    node = Node([])
    assert command(node, "--answer", GIVEN.name, *words) == OK
    assert [each.labels for each in node.answered] == [labels]


def test_fine_is_no_label_beside_others(command: Callable[..., int]) -> None:
    node = Node([])
    assert command(node, "--answer", GIVEN.name, "--label", "fine", "--label", "rude") == USAGE
    assert node.answered == []


def test_a_post_is_shown_and_nothing_else() -> None:
    medium = {"hash": b"h" * 32, "size": 1, "mime": "image/png", "alt": "a cat"}
    lines = shown(post("a\nb", lang="de", warning="w", tags=["x"], media=[medium]))
    assert lines[1].endswith("  de")
    assert lines[2:] == ["  its author's warning: w", "  > a", "  > b", "  > [image/png] a cat", "  > #x"]


@pytest.mark.parametrize(("words", "labels"), [("fine", []), ("rude", ["rude"]), (" a , b,", ["a", "b"])])
def test_labels_are_typed_with_commas_between(words: str, labels: list[str]) -> None:
    assert labels_in(words) == labels


@pytest.mark.parametrize("words", ["", " , ", "fine, rude"])
def test_what_is_no_answer_is_said(words: str) -> None:
    with pytest.raises(Usage):
        labels_in(words)


def test_what_was_given_has_a_name() -> None:
    assert given_by_name(GIVEN.name) == GIVEN and GIVEN.name.isascii() and "=" not in GIVEN.name
    for name in ("", "x", GIVEN.name[:-8], "ä"):
        with pytest.raises(Usage):
            given_by_name(name)
