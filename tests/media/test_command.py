"""`folkmoot media` and `folkmoot post --image`, as people run them, against a real node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from folkmoot.cli.exit_codes import FAILED, OK, USAGE

from tests.checking.local import Home
from tests.media import pictures
from tests.waiting import until_blocking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

DATA = pictures.png(700_000)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("media"))
    (home.path / "heron.png").write_bytes(DATA)
    with home.cluster(nodes=1):
        until_blocking(
            lambda: home.run("post", "the node is up").code == OK,
            what="the node to take posts",
            within_s=60,
        )
        yield home


def test_what_is_put_is_listed_got_and_named_by_its_hash(home: Home) -> None:
    told = home.run("media", "put", "heron.png", "--json")
    assert told.code == OK and told.json["size"] == len(DATA) and told.json["mime"] == "image/png"
    name = told.json["medium"]
    assert home.run("media", "put", "heron.png", "--json").json["medium"] == name, "again is no harm"
    listed = home.run("media", "ls", "--json").json
    assert [each["hash"] for each in listed["items"]] == [told.json["hash"]]
    assert len(DATA) <= listed["used"] < listed["quota"]
    (home.path / "copy.png.part").write_text("the user's own")
    got = home.run("media", "get", name, "-o", "copy.png", "--json")
    assert got.code == OK and (home.path / "copy.png").read_bytes() == DATA
    assert [each.name for each in home.path.rglob("*.part")] == ["copy.png.part"]
    assert (home.path / "copy.png.part").read_text() == "the user's own"
    (home.path / "copy.png.part").unlink()
    shown = home.run("media", "show", name, "--json").json
    assert (shown["mime"], shown["size"], shown["screening"]) == ("image/png", len(DATA), None)
    words = home.run("media", "ls")
    assert told.json["hash"] in words.out and "of 1073741824 bytes" in words.out


def test_a_post_shows_a_picture_that_is_uploaded_first(home: Home) -> None:
    told = home.run("post", "By the lake.", "--image", "heron.png", "--alt", "A heron.", "--json")
    assert told.code == OK and told.json["status"] == "stored"
    account = told.json["account"]
    feed = home.run("feed", account, "--json")
    assert feed.code == OK and "A heron." in feed.out
    words = home.run("feed", account).out
    name = next(line.split()[-1] for line in words.splitlines() if "[image/png: A heron.]" in line)
    assert home.run("media", "get", name, "-o", "shown.png").code == OK
    assert (home.path / "shown.png").read_bytes() == DATA


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("media", "put", "nothing.txt"), USAGE, "does not exist"),
        (("media", "put", "text.txt"), FAILED, "is nothing that posts can show"),
        (("media", "put", "empty.png"), FAILED, "is nothing that posts can show"),
        (("media", "put", "heron.png", "--type", "image/gif"), FAILED, "by its first bytes is image/png"),
        (("media", "get", "did:key:nonsense/00", "-o", "x"), USAGE, "names no medium"),
        (("post", "x", "--image", "heron.png"), USAGE, "has no --alt"),
        (("post", "x", "--alt", "a heron"), USAGE, "more --alt than --image"),
        (("post", "x", *("--image", "heron.png") * 9), USAGE, "at most 8 media"),
    ],
)
def test_what_makes_no_sense_is_said(home: Home, words: tuple[str, ...], code: int, complaint: str) -> None:
    (home.path / "text.txt").write_text("only words")
    (home.path / "empty.png").write_bytes(b"")
    ran = home.run(*words)
    assert ran.code == code and complaint in ran.err, ran


def test_what_nobody_has_is_said_and_leaves_no_file(home: Home) -> None:
    account = home.run("media", "put", "heron.png", "--json").json["medium"].partition("/")[0]
    ran = home.run("media", "get", f"{account}/{Path('0' * 64)}", "-o", "none.png")
    assert ran.code == FAILED and "has this medium" in ran.err
    assert not (home.path / "none.png").exists() and list(home.path.rglob("*.part")) == []
