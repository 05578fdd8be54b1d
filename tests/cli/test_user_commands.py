"""`folkmoot user` against a real node: lives of accounts, devices lost and stolen, and what others see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, UNREACHABLE, USAGE
from folkmoot.node.data_directory import write_key

from tests.checking.local import Home, Ran
from tests.waiting import until_blocking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


class Town(Home):
    """A home with a cluster of one node, and people with key files in it."""

    def user(self, *words: str | Path) -> dict[str, Any]:
        """A `folkmoot user` command that works."""
        ran = self.run("user", *words, "--json")
        assert ran.code == OK, f"{words}: {ran.err}"
        return ran.json

    def refused(self, *words: str | Path) -> Ran:
        """One that fails."""
        ran = self.run("user", *words)
        assert ran.code == FAILED and not ran.out, f"{words}: {ran}"
        return ran

    def create(self, name: str) -> str:
        """Somebody's account, `NAME.key` with `NAME.recovery`."""
        told = self.user("create", f"{name}.key", "--recovery", f"{name}.recovery")
        account: str = told["account"]
        return account

    def posts(self, key: str) -> bool:
        """Whether a key file can post."""
        return self.run("post", "hello", "--key", f"{key}.key", "--json").code == OK


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home = Town(tmp_path_factory.mktemp("town"))
    with home.cluster(nodes=1):
        home.run("post", "the node is up")
        until_blocking(
            lambda: home.run("user", "create", "first.key", "--no-recovery", "--json").code == OK,
            what="the node to hold the seat",
            within_s=60,
        )
        yield home


def test_an_account_is_created_once(town: Town) -> None:
    told = town.user("create", "ada.key", "--recovery", "ada.recovery")
    assert told["changed"] and told["recoverable"] and told["number"] == 1 and told["state"] == "active"
    for file in ("ada.key", "ada.recovery"):
        assert (town.path / file).stat().st_mode & 0o777 == 0o600
    again = town.user("create", "ada.key", "--recovery", "ada.recovery")
    assert not again["changed"] and again["head"] == told["head"]
    assert "with another recovery key" in town.refused("create", "ada.key", "--no-recovery").err
    words = town.run("user", "show", "ada.key")
    assert words.code == OK and "has a recovery key; 1 operation" in words.out
    told = town.user("show", told["account"], "--history", "--current")
    assert [(each["action"], each["by"]) for each in told["history"]] == [("create", "first key")]


def test_another_device_signs_until_it_is_revoked(town: Town) -> None:
    account = town.create("ben")
    told = town.user("keys", "add", "ben.key", "ben-phone.key", "--name", "phone")
    assert told["changed"] and (town.path / "ben-phone.key").stat().st_mode & 0o777 == 0o600
    assert not town.user("keys", "add", "ben.key", "ben-phone.key")["changed"]
    tablet = town.run("keys", "new", "ben-tablet.key", "--account", account, "--json").json
    assert not town.posts("ben-tablet"), "nobody has let it in yet"
    town.user("keys", "add", "ben-phone.key", "--key", tablet["key"], "--name", "tablet")
    for name in ("ben", "ben-phone", "ben-tablet"):
        assert town.posts(name)
    feed = town.run("feed", "ben-tablet.key", "--json").json
    assert feed["account"] == account and len(feed["items"]) == 3
    told = town.user("keys", "revoke", "ben.key", "phone", "--reason", "stolen")
    assert not town.user("keys", "revoke", "ben.key", told["key"])["changed"]
    refused = town.run("post", "it was me", "--key", "ben-phone.key")
    assert refused.code == FAILED and f"folkmoot user show {account}" in refused.err
    assert "was revoked" in town.refused("keys", "add", "ben-phone.key", "ben-more.key").err
    listed = town.user("keys", "list", "ben.key")["devices"]
    assert [(each["name"], each["revoked"] is None) for each in listed] == [
        ("", True),
        ("phone", False),
        ("tablet", True),
    ]
    assert len(town.run("feed", account, "--json").json["items"]) == 3, "what it wrote stays"
    assert "no device of the account is called" in town.refused("keys", "revoke", "ben.key", "watch").err
    assert not town.user("keys", "revoke", "ben.recovery", "phone")["changed"]


def test_a_key_is_rotated_in_one_step(town: Town) -> None:
    town.create("cleo")
    told = town.user("rotate-key", "cleo.key", "cleo-2.key", "--name", "laptop")
    assert [(each["name"], each["revoked"]) for each in told["devices"]] == [("", 2), ("laptop", None)]
    assert not town.user("rotate-key", "cleo.key", "cleo-2.key")["changed"]
    assert town.posts("cleo-2") and not town.posts("cleo")
    assert "was revoked" in town.refused("rotate-key", "cleo.key", "cleo-3.key").err


def test_a_stolen_account_is_taken_back(town: Town) -> None:
    account = town.create("dora")
    town.user("keys", "add", "dora.key", "thief.key", "--name", "thief")
    recover = ("recover", account, "dora-2.key", "--recovery", "dora.recovery")
    told = town.user(*recover, "--new-recovery", "dora-2.recovery")
    assert [each["revoked"] for each in told["devices"]] == [3, 3, None]
    assert town.posts("dora-2") and not town.posts("dora") and not town.posts("thief")
    old = town.refused("recover", account, "dora-3.key", "--recovery", "dora.recovery")
    assert "may not do that" in old.err
    town.user("new-recovery", "dora-2.recovery", "dora-3.recovery")
    assert not town.user("new-recovery", "dora-2.recovery", "dora-3.recovery")["changed"]
    again = town.user("recover", account, "dora-4.key", "--recovery", "dora-3.recovery")
    assert again["changed"] and town.posts("dora-4")
    assert not town.user("recover", account, "dora-4.key", "--recovery", "dora-3.recovery")["changed"]
    lost = town.user("create", "nobody.key", "--no-recovery")["account"]
    write_key(town.path / "forged.recovery", b"f" * 32, owner=_id(lost), recovers=True)
    assert "never be recovered" in town.refused("recover", lost, "x.key", "--recovery", "forged.recovery").err


def _id(text: str) -> bytes:
    from folkmoot.protocol.identity import account_from_text

    return account_from_text(text)


def test_a_handle_names_one_account(town: Town) -> None:
    emil, fay = town.create("emil"), town.create("fay")
    assert town.user("handle", "set", "emil.key", "Emil.N")["handle"] == "emil.n"
    assert not town.user("handle", "set", "emil.key", "@emil.n")["changed"]
    assert town.user("handle", "who", "@emil.n") == {"handle": "emil.n", "account": emil}
    assert town.user("show", "@emil.n")["account"] == emil
    assert town.posts("emil") and len(town.run("feed", "emil.n", "--json").json["items"]) == 1
    taken = town.refused("handle", "set", "fay.key", "emi1-n")
    assert "'emi1-n' could be taken for 'emil.n'" in taken.err
    assert "folkmoot user handle who emil.n" in taken.err
    town.user("handle", "clear", "emil.key")
    assert not town.user("handle", "clear", "emil.key")["changed"]
    kept = town.refused("handle", "set", "fay.key", "emil.n").err
    assert "given up lately" in kept and "handle who" not in kept
    assert "no account has the handle" in town.refused("handle", "who", "emil.n").err
    assert "no account has the handle" in town.refused("show", "emil.n").err
    assert town.user("show", fay)["handle"] is None


def test_operators_suspend_and_restore(town: Town) -> None:
    account = town.create("gus")
    stranger = town.run("user", "suspend", account, "--operator", "gus.key")
    assert stranger.code == FAILED and "for operators" in stranger.err
    assert town.user("suspend", account, "--reason", "spam")["state"] == "suspended"
    assert not town.user("suspend", "gus.key")["changed"]
    assert not town.posts("gus")
    assert "suspended" in town.refused("handle", "set", "gus.key", "gus").err
    assert town.user("restore", account)["state"] == "active"
    assert not town.user("restore", account)["changed"]
    again = town.run("user", "restore", account)
    assert again.code == OK and again.out.startswith("nothing to restore: the account is not suspended\n")
    assert town.posts("gus")


def test_an_edit_can_be_seen_until_the_post_is_deleted(town: Town) -> None:
    town.create("ed")
    town.user("keys", "add", "ed.key", "ed-phone.key", "--name", "phone")
    post = town.run("post", "first", "--key", "ed.key", "--tag", "moot", "--json").json["post"]
    assert town.run("history", post).out.endswith("it was never edited\n")
    assert town.run("edit", post, "second", "--key", "ed-phone.key", "--json").json["status"] == "stored"
    assert town.run("edit", post, "third", "--key", "ed.key", "--json").json["status"] == "stored"
    told = town.run("history", post, "--json").json
    assert [each["body"]["text"] for each in told["versions"]] == ["third", "second", "first"]
    assert [each["state"] for each in told["versions"]] == ["shown", "earlier", "earlier"]
    assert told["versions"][0]["body"]["tags"] == ["moot"], "what else it says stays"
    assert not told["conflict"] and not told["older_dropped"] and not told["deleted"]
    for number in range(16):
        assert town.run("edit", post, f"again {number}", "--key", "ed.key").code == OK
    words = town.run("history", post)
    assert words.code == OK and "only the 16 newest earlier versions are kept" in words.out
    assert "first" not in words.out and "third" in words.out
    stranger = town.run("edit", post, "mine", "--key", "first.key")
    assert stranger.code == FAILED and "the key signs for" in stranger.err
    assert town.run("delete", post, "--key", "first.key").code == FAILED
    assert town.run("delete", post, "--key", "ed.key", "--json").json["status"] == "stored"
    assert town.run("delete", post, "--key", "ed.key", "--json").json["status"] == "duplicate"
    gone = town.run("history", post, "--json").json
    assert gone["deleted"] and [each["body"] for each in gone["versions"]] == [{"deleted": True}]
    assert "a deletion is final" in town.run("edit", post, "back", "--key", "ed.key").err
    missing = town.run("history", post[:-2] + "00")
    assert missing.code == FAILED and "there is no post" in missing.err


def test_what_an_account_wrote_is_taken_back(town: Town) -> None:
    town.create("ivy")
    for _ in range(3):
        assert town.posts("ivy")
    assert "the same with --yes" in town.refused("purge", "ivy.key").err
    found = town.user("purge", "ivy.key", "--dry-run")
    assert found["left"] == {"post": 3} and found["gone"] == 0
    told = town.user("purge", "ivy.key", "--yes")
    assert told["complete"] and told["taken_back"] == {"post": 3} and told["gone"] == 3 and not told["left"]
    assert not town.run("feed", "ivy.key", "--json").json["items"]
    again = town.run("user", "purge", "ivy.key")
    assert again.code == OK and "nothing was left to be taken back; 3 gone in all" in again.out
    assert town.posts("ivy"), "the account lives on"


def test_what_is_gone_is_attested_and_checked_later(town: Town) -> None:
    account = town.create("kai")
    assert town.posts("kai")
    before = town.run("user", "attest", "kai.key", "--key", "kai.key", "--json")
    assert before.code == DEGRADED and before.json["nodes"][0]["left"] == 1
    assert town.run("user", "purge", "kai.key", "--yes", "--out", "kai.evidence").code == USAGE
    told = town.user("purge", "kai.key", "--yes", "--attest", "--out", "kai.evidence")["attestation"]
    assert told["attested"] and told["taken_back"] == 1 and told["signer"] == account
    [node] = told["nodes"]
    assert (node["gone"], node["left"], node["free_pages_clean"]) == (1, 0, False)
    assert "never overwritten" in town.refused("purge", "kai.key", "--attest", "--out", "kai.evidence").err
    checked = town.user("verify", "kai.evidence")
    assert {name: checked[name] for name in told} == told
    words = town.run("user", "verify", "kai.evidence")
    assert words.code == OK and "attested by all 1 replicas" in words.out and "store compact" in words.out
    data = bytearray((town.path / "kai.evidence").read_bytes())
    data[300] ^= 1
    (town.path / "kai.damaged").write_bytes(data)
    assert "another copy of the file" in town.refused("verify", "kai.damaged").err
    operators = town.user("attest", account)
    assert operators["attested"] and operators["taken_back"] is None
    closed = town.user("close", "kai.key", "--purge", "--attest", "--yes", "--out", "kai.last")
    assert closed["attestation"]["attested"] and closed["state"] == "closed"


def test_an_account_is_closed_once_all_it_wrote_is_gone(town: Town) -> None:
    town.create("jan")
    town.user("keys", "add", "jan.key", "jan-phone.key", "--name", "phone")
    assert town.posts("jan") and town.posts("jan-phone")
    recovery = town.run("user", "close", "jan.recovery", "--purge", "--yes")
    assert recovery.code == USAGE and "user recover" in recovery.err
    told = town.user("close", "jan-phone.key", "--purge", "--yes", "--reason", "moved")
    assert told["state"] == "closed" and told["purged"]["taken_back"] == {"post": 2}
    assert [each["revoked"] for each in told["devices"]] == [3, 4], "the other device first"
    assert not town.run("feed", "jan.key", "--json").json["items"]
    again = town.user("close", "jan-phone.key", "--purge", "--yes")
    assert not again["changed"] and "purged" not in again


def test_a_closed_account_is_closed(town: Town) -> None:
    town.create("hal")
    assert town.posts("hal")
    assert "the same with --yes" in town.refused("close", "hal.key").err
    assert town.user("close", "hal.key", "--yes", "--reason", "moved")["state"] == "closed"
    assert not town.user("close", "hal.key", "--yes")["changed"]
    assert not town.posts("hal")
    assert "closed" in town.refused("handle", "set", "hal.key", "hal").err
    assert len(town.run("feed", "hal.key", "--json").json["items"]) == 1


def test_an_account_that_was_never_created_is_plain(town: Town) -> None:
    town.run("keys", "new", "ida.key")
    told = town.user("show", "ida.key")
    assert told["number"] == 0 and not told["recoverable"] and len(told["devices"]) == 1
    assert "folkmoot user create" in town.refused("keys", "add", "ida.key", "ida-2.key").err


def test_nobody_answers(town: Town) -> None:
    ran = town.run("user", "show", "first.key", "--node", "127.0.0.1:1", "--tls", "off")
    assert ran.code == UNREACHABLE and "no node answered" in ran.err
