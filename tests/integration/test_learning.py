"""The learning loop as people go through it: posts are drawn, answered, decided on, and teach a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pytest
import trio
from folkmoot.cli import main
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, USAGE
from folkmoot.cli.moderating import blind
from folkmoot.cli.moderating.deciding import Wish, decide
from folkmoot.cli.moderating.subjects import Named
from folkmoot.protocol import client as clients
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.decision import Action, Subject
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.record import Record

from tests.checking.local import NAME, Home
from tests.moderation.documents import HEAD, condition
from tests.moderation.text.test_challenging import NEW, PLAIN, rude_base, sentence
from tests.node.people import Author
from tests.waiting import until

pytestmark = pytest.mark.cluster

POSTS = 48
DECIDED = 6
LOCAL = ("--cluster", NAME)
AUTHORS = [Author(2**90 + number) for number in range(12)]


def written(base: TextModel, folder: Path) -> Path:
    folder.mkdir()
    file = folder / f"{base.hash()}.model"
    file.write_bytes(base.encode())
    return file


async def live(write: str, review: str, chief: KeyPair) -> list[Record]:
    """People write, half of it rude in words that are new; most is answered blind, some decided on."""
    random = Random(12)
    posts = [
        AUTHORS[number % len(AUTHORS)].post(sentence(PLAIN if number % 2 else NEW, random))
        for number in range(POSTS)
    ]
    rude = {post.id for post in posts[::2]}
    async with clients.connect([write], tls=False) as client:
        assert {
            result.status
            for result in await client.put_records(
                [(each.payload, each.signature) for each in posts], level="all"
            )
        } == {"stored"}
    async with clients.connect([review], tls=False) as client:
        proven = await client.auth(chief)
        for post in posts[:DECIDED]:
            wish = Wish(Action.LABEL, "rude", ("rude",)) if post.id in rude else Wish(Action.RESTORE, "fine")
            await decide(client, chief, Named(post.place, Subject("post", post.item)), wish, "quorum")
        answered: set[bytes] = set()

        async def all_answered() -> bool:
            given, post, _ = await blind.next_one(client, None)
            if given is not None and post is not None:
                labels = ["rude"] if post.id in rude else []
                await blind.answer(client, chief, proven, given, labels, "quorum")
                answered.add(post.id)
            return answered == {each.id for each in posts}

        await until(all_answered, what="every post to be drawn and answered", within_s=60)
    return posts


async def delete(node: str, post: Record) -> None:
    author = next(each for each in AUTHORS if each.account == post.author)
    gone = author.deletion(post)
    async with clients.connect([node], tls=False) as client:
        [result] = await client.put_records([(gone.payload, gone.signature)], level="all")
        assert result.status == "stored"


def await_label(node: str) -> None:
    """Wait until a node that was not given the model labels what is rude."""

    async def labelled() -> bool:
        post = AUTHORS[0].post(sentence(NEW, Random(99)))
        async with clients.connect([node], tls=False) as client:
            [result] = await client.put_records([(post.payload, post.signature)], level="all")
        verdict = result.verdict
        return verdict is not None and [each["value"] for each in verdict.get("labels", ())] == ["rude"]

    trio.run(lambda: until(labelled, what="the model to come to the other node", within_s=60))


class Run(Protocol):
    """Runs a command, which must end with a code; what it prints."""

    def __call__(self, *words: str | Path, code: int = OK, whom: Sequence[str] = LOCAL) -> dict[str, Any]: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, home.environment[name])
    return home


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str | Path, code: int = OK, whom: Sequence[str] = LOCAL) -> dict[str, Any]:
        capsys.readouterr()
        got = main.run([*map(str, words), *whom, "--json"])
        said = capsys.readouterr()
        assert got == code, said
        told: dict[str, Any] = json.loads(said.out or said.err)
        return told

    return run


def test_two_nodes_learn_the_same_to_the_byte(home: Home, run: Run, tmp_path: Path) -> None:
    current = written(rude_base(), tmp_path / "models")
    policy = tmp_path / "policy.toml"
    policy.write_text(HEAD)
    with home.cluster(nodes=2, gate__sample=1.0, gate__policy=str(policy)) as cluster:
        nodes = cluster.ask("status")["nodes"]
        one, other = (node["address"] for node in nodes)
        learn = ("moderate", "learn", "--model")
        few = run(*learn, current, "--out", tmp_path / "few", code=FAILED)
        assert "0 settled decisions and answers say yes" in few["error"]["message"]
        assert run("moderate", "sample") == {"post": None, "labels": []}
        run("moderate", "sample", "--fine", code=USAGE)
        run("moderate", "sample", "--answer", "nonsense!", "--fine", code=USAGE)

        chief = cluster.directory.operator()
        assert chief is not None
        posts = trio.run(live, one, other, chief)
        by = ("--key", cluster.directory.operator_key_file)
        learnt = [
            run(*learn, current, "--out", tmp_path / name, *by, whom=("--node", node, "--tls", "off"))
            for name, node in (("a", one), ("b", other))
        ]
        assert learnt[0]["challenger"] == learnt[1]["challenger"] and learnt[0]["better"]
        for what in ("file", "manifest"):
            assert Path(learnt[0][what]).read_bytes() == Path(learnt[1][what]).read_bytes()
        half, samples = POSTS // 2, POSTS - DECIDED
        counted = {"yes": half, "no": half, "decided": DECIDED, "samples": samples, "gone": 0}
        assert learnt[0]["lessons"] == counted and learnt[0]["largest_shares"]["reviewer"] == 1.0
        name = learnt[0]["challenger"]["hash"]
        assert f'hash = "{name}"' in learnt[0]["policy"]
        assert "[models.evidence.rude]" in learnt[0]["policy"]
        assert f'{{by = "sample", model = "{name}", texts = "' in learnt[0]["policy"]

        policy.write_text(
            HEAD + learnt[0]["policy"] + condition("r", "scores.rude > 0.0", "label", label="rude")
        )
        models = cluster.directory.data(nodes[0]["name"]).path / "models"
        models.mkdir(exist_ok=True)
        (models / f"{name}.model").write_bytes(Path(learnt[0]["file"]).read_bytes())
        await_label(other)

        again = run("moderate", "replay", learnt[1]["manifest"], "--base", current)
        assert again["same"] and again["replayed"] == name
        next_ = run(*learn, learnt[0]["file"], "--out", tmp_path / "c", code=DEGRADED)
        assert next_["challenger"]["hash"] == name, "from the same base, not on from there"
        assert not next_["better"] and "policy" not in next_

        trio.run(delete, one, posts[-1])
        gone = run("moderate", "replay", learnt[0]["manifest"], code=DEGRADED)
        assert (gone["gone"], gone["same"], gone["read_alike"]) == (1, False, True)
