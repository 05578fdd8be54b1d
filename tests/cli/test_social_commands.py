"""`folkmoot follow`, `mute`, `block`, `bookmark` and `list` against a real node, from several devices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import FAILED, OK, USAGE
from folkmoot.cli.social.labelling import example

from tests.checking.local import Home, Ran
from tests.waiting import until_blocking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


class Town(Home):
    """A home with a cluster of one node, and people with key files in it."""

    accounts: dict[str, str]

    def told(self, *words: str | Path, key: str = "ann") -> dict[str, Any]:
        """What a command of somebody's says, which works."""
        ran = self.run(*words, "--key", f"{key}.key", "--json")
        assert ran.code == OK, f"{words}: {ran}"
        return ran.json

    def refused(self, *words: str | Path, code: int = FAILED, key: str = "ann") -> Ran:
        """A command of somebody's that fails."""
        ran = self.run(*words, "--key", f"{key}.key")
        assert ran.code == code and not ran.out, f"{words}: {ran}"
        return ran

    def person(self, name: str) -> str:
        """Somebody's account, `NAME.key`."""
        account: str = self.run("keys", "new", f"{name}.key", "--json").json["account"]
        return account

    def others(self, kind: str, key: str = "ann") -> list[str]:
        """Whom somebody follows, or blocks."""
        return [each["other"] for each in self.told(kind, key=key)["items"]]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home = Town(tmp_path_factory.mktemp("town"))
    with home.cluster(nodes=1):
        home.accounts = {name: home.person(name) for name in ("ann", "bob", "cat")}
        until_blocking(
            lambda: home.run("post", "the node is up", "--key", "bob.key").code == OK,
            what="the node to take posts",
            within_s=60,
        )
        yield home


@pytest.mark.parametrize("kind", ["follow", "block"])
def test_somebody_is_followed_and_followed_no_more(town: Town, kind: str) -> None:
    bob, cat = town.accounts["bob"], town.accounts["cat"]
    assert town.others(kind) == []
    told = town.told(kind, bob)
    assert told["changed"] and told["status"] == "stored" and told["other"] == bob and told["on"]
    assert not town.told(kind, "bob.key")["changed"], "a key file names its account"
    town.told(kind, cat)
    assert sorted(town.others(kind)) == sorted([bob, cat])
    assert town.told(f"un{kind}", bob)["changed"] and not town.told(f"un{kind}", bob)["changed"]
    assert town.others(kind) == [cat]
    words = town.run(kind, "--key", "ann.key")
    assert words.code == OK and words.out == f"{cat}\n"
    town.told(f"un{kind}", cat)


@pytest.mark.parametrize("kind", ["follow", "block", "mute"])
def test_nobody_is_about_themselves(town: Town, kind: str) -> None:
    assert "own account" in town.refused(kind, "ann.key", code=USAGE).err


def test_one_device_takes_back_what_another_said(town: Town) -> None:
    """Which it can only if it looked first: enabling wins over what is not seen."""
    until_blocking(
        lambda: town.run("user", "create", "dan.key", "--no-recovery").code == OK,
        what="the node to hold the seat",
        within_s=60,
    )
    assert town.run("user", "keys", "add", "dan.key", "dan-phone.key").code == OK
    bob = town.accounts["bob"]
    town.told("follow", bob, key="dan")
    assert town.told("unfollow", bob, key="dan-phone")["changed"]
    assert town.others("follow", key="dan") == town.others("follow", key="dan-phone") == []
    town.told("mute", bob, "--reposts", key="dan-phone")
    assert town.told("mute", bob, key="dan")["changed"], "it was muted in part"
    assert town.told("unmute", bob, key="dan-phone")["changed"]
    assert town.told("mute", key="dan")["items"] == []


def test_accounts_words_and_threads_are_muted(town: Town) -> None:
    bob = town.accounts["bob"]
    (first,) = town.run("feed", bob, "--json").json["items"]
    thread = first["post"]
    town.told("mute", bob, "--for", "2h")
    town.told("mute", "--word", "  Some\tWORDS ")
    town.told("mute", "--thread", thread)
    muted = town.told("mute")["items"]
    by_name = {next(iter(each)): each for each in muted}
    assert set(by_name) == {"other", "word", "thread"} and len(muted) == 3
    assert by_name["other"]["other"] == bob and by_name["other"]["until"].startswith("20")
    assert by_name["word"]["word"] == "some words" and by_name["word"]["until"] is None
    assert by_name["thread"]["thread"] == thread
    lines = town.run("mute", "--key", "ann.key").out.splitlines()
    assert "the word some words" in lines and f"the thread of {thread}" in lines
    assert any(line.startswith(f"{bob}, until ") for line in lines)
    for subject in (("--word", "some words"), ("--thread", thread), (bob,)):
        assert town.told("unmute", *subject)["changed"] and not town.told("unmute", *subject)["changed"]
    assert town.told("mute")["items"] == []
    town.told("mute", bob, "--for", "1s")
    until_blocking(
        lambda: town.told("mute")["items"] == [], what="what has ended to be told no more", within_s=60
    )


def test_a_thread_is_muted_whichever_of_its_posts_is_named(town: Town) -> None:
    first = town.told("post", "who is for tea?", key="bob")["post"]
    reply = town.told("post", "I am", "--reply-to", first, key="cat")["post"]
    further = town.told("post", "so am I", "--reply-to", reply, key="bob")["post"]
    assert town.told("mute", "--thread", further)["thread"] == first
    assert [each["thread"] for each in town.told("mute")["items"]] == [first]
    assert not town.told("mute", "--thread", first)["changed"]
    assert town.told("unmute", "--thread", reply)["changed"] and town.told("mute")["items"] == []
    nothing = first[:-4] + ("0000" if not first.endswith("0000") else "1111")
    assert "there is no post" in town.refused("mute", "--thread", nothing).err


def test_what_is_answered_is_looked_up(town: Town) -> None:
    first = town.told("post", "once more, tea?", key="bob")["post"]
    reply = town.told("post", "yes", "--reply-to", first, key="cat")["post"]
    town.told("post", "then come", "--reply-to", reply, key="bob")
    body = town.run("feed", "bob.key", "--json").json["items"][0]["body"]
    assert [body[name]["item"] for name in ("reply_to", "root")] == [
        name.partition("/")[2] for name in (reply, first)
    ]
    nothing = first[:-4] + ("0000" if not first.endswith("0000") else "1111")
    assert "there is no post" in town.refused("post", "hm", "--reply-to", nothing).err
    assert town.told("post", "hm", "--reply-to", nothing, "--unseen")["status"] == "stored"
    assert "root" not in town.run("feed", "ann.key", "--json").json["items"][0]["body"]
    town.refused("post", "hm", "--unseen", code=USAGE)


@pytest.mark.parametrize(
    "words",
    [
        ("mute", "bob.key", "--word", "x"),
        ("mute", "--word", "\u200b"),
        ("mute", "--word", "x" * 101),
        ("mute", "--word", "x", "--reposts"),
        ("mute", "--for", "1d"),
        ("mute", "--thread", "nothing"),
        ("unmute",),
        ("bookmark", "--remove"),
        ("list", "create", ""),
        ("list", "change", "x"),
        ("list", "show", "x", "--of", "bob.key"),
    ],
)
def test_words_that_make_no_sense(town: Town, words: tuple[str, ...]) -> None:
    town.refused(*words, code=USAGE)


def test_posts_are_bookmarked(town: Town) -> None:
    first, *_ = town.run("feed", town.accounts["bob"], "--json").json["items"]
    assert town.told("bookmark", first["post"])["changed"]
    assert town.told("bookmark")["items"] == [{"post": first["post"]}]
    assert town.told("bookmark", key="bob")["items"] == [], "each has their own"
    assert town.told("bookmark", first["post"], "--remove")["changed"]
    assert town.told("bookmark")["items"] == []


def test_lists(town: Town) -> None:
    bob, cat, ann = (town.accounts[name] for name in ("bob", "cat", "ann"))
    name = town.told("list", "create", "Neighbours", "--about", "Our street.")["list"]
    item = name.partition("/")[2]
    for who in (bob, cat, ann):
        assert town.told("list", "add", "Neighbours", who)["on"]
    assert town.told("list", "remove", item, "cat.key")["changed"]
    shown = town.told("list", "show", "Neighbours")
    assert sorted(shown["members"]) == sorted([bob, ann]) and shown["about"] == "Our street."
    assert town.told("list", "show", name, key="bob") == shown, "lists are public"
    assert "theirs to change" in town.refused("list", "add", name, cat, key="bob", code=USAGE).err
    town.told("list", "change", name, "--name", "Friends")
    assert [(each["name"], each["about"]) for each in town.told("list", "show")["lists"]] == [
        ("Friends", "Our street.")
    ]
    assert "has no list 'Neighbours'" in town.refused("list", "show", "Neighbours").err
    town.told("list", "create", "Friends")
    assert "2 lists are called 'Friends'" in town.refused("list", "show", "Friends").err
    assert town.told("list", "delete", item)["changed"]
    assert town.told("list", "show", "Friends")["members"] == []
    assert len(town.told("list", "show", "--of", "ann.key", key="bob")["lists"]) == 1


def test_a_post_says_who_may_answer(town: Town) -> None:
    quoted = town.run("feed", town.accounts["bob"], "--json").json["items"][0]["post"]
    town.told(
        *("post", "For few.", "--mention", "bob.key", "--mention", town.accounts["cat"], "--label", "food"),
        *("--reply-from", "mentioned", "--quote-from", "nobody", "--warning", "soup", "--quote", quoted),
    )
    body = town.run("feed", "ann.key", "--json").json["items"][0]["body"]
    assert body["reply_from"] == "mentioned" and body["quote_from"] == "nobody"
    assert body["labels"] == ["food"] and body["warning"] == "soup" and len(body["mentions"]) == 2
    assert set(body) == {"text", "labels", "mentions", "quote", "quote_from", "reply_from", "warning"}
    assert "a label value is 1 to 64 bytes" in town.refused("post", "x", "--label", "x" * 65).err


def test_who_never_said_anything_has_no_key_made_for_asking(town: Town) -> None:
    ran = town.run("follow")
    assert ran.code == FAILED and "you have no key yet" in ran.err
    assert not (town.path / "data" / "folkmoot" / "me.key").exists()
    assert town.run("follow", "bob.key").code == OK
    assert town.run("follow", "--json").json["items"] == [{"other": town.accounts["bob"]}]


def test_labels_are_defined_said_and_heeded(town: Town) -> None:
    cat = town.accounts["cat"]
    post = town.told("post", "the bridge is closed", key="bob")["post"]
    file = town.path / "labels.toml"
    file.write_text(example(), encoding="utf-8")
    assert town.told("labeller", "publish", file, key="cat")["labels"] == ["rumour"]
    shown = town.run("labeller", "show", cat, "--file", "--key", "ann.key")
    assert 'name = {de = "Gerücht", en = "Rumour"}' in shown.out
    assert "folkmoot labeller subscribe" in town.refused("labeller", "set", "rumour", "hide", "--of", cat).err
    assert town.told("labeller", "subscribe", cat)["labels"] == 1
    assert "defines no label" in town.refused("labeller", "set", "rumor", "hide", "--of", cat).err
    assert town.told("labeller", "languages", "DE", "en")["languages"] == ["de", "en"]
    assert "folkmoot label" in town.refused("label", post, "rumour", "--negate", key="cat").err
    assert town.told("label", post, "rumour", "--reason", "No source.", "--expires", "30d", key="cat")[
        "changed"
    ]
    until_blocking(lambda: _cautions(town, post) == ["Gerücht"], what="the label to be told", within_s=60)
    town.told("labeller", "set", "rumour", "ignore", "--of", cat)
    assert _cautions(town, post) == []
    assert town.told("labeller", "set", "spam", "hide")["labeller"] is None
    chosen = town.told("labeller", "ls")
    assert chosen["set"] == {"spam": "hide"}
    assert chosen["labellers"] == [{"labeller": cat, "set": {"rumour": "ignore"}}]
    assert town.told("label", post, "rumour", "--negate", key="cat")["changed"]
    assert town.told("labeller", "unsubscribe", cat)["changed"]


def test_labels_that_cannot_be_are_refused_with_what_to_do(town: Town) -> None:
    bob = town.accounts["bob"]
    assert "folkmoot user show" in town.refused("labeller", "show", bob).err
    assert "own account" in town.refused("labeller", "subscribe", "ann.key", code=USAGE).err
    assert "U+202E" in town.refused("labeller", "set", "a\u202eb", "hide", code=USAGE).err
    assert "no language tag" in town.refused("labeller", "languages", "English please", code=USAGE).err
    broken = town.path / "broken.toml"
    broken.write_text('[[labels]]\nvalue = "x"\nblurs = "all"\n', encoding="utf-8")
    ran = town.run("labeller", "publish", broken)
    assert ran.code == FAILED and "content, media, none" in ran.err and "labeller example" in ran.err
    nothing = town.told("post", "to be deleted", key="bob")["post"]
    town.told("delete", nothing, key="bob")
    assert "was deleted" in town.refused("label", nothing, "rumour").err


def test_a_label_is_taken_back_though_its_post_is_gone(town: Town) -> None:
    post = town.told("post", "gone tomorrow", key="bob")["post"]
    assert town.told("label", post, "rumour", key="cat")["changed"]
    town.told("delete", post, key="bob")
    told = town.told("label", post, "rumour", "--negate", key="cat")
    assert told["changed"] and told["negated"]
    assert "you have put no label" in town.refused("label", post, "rumour", "--negate", key="cat").err


def _cautions(town: Town, post: str) -> list[str]:
    """What labels on a post are called to Ann."""
    told = town.run("timeline", "thread", post, "--as", "ann.key", "--json").json
    return [each["name"] for item in told["items"] for each in item.get("cautions", ())]
