"""What is left to do to an account, and doing it while others are faster, nobody answers, or nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED, FAILED, USAGE
from folkmoot.cli.users import decisions
from folkmoot.cli.users.changing import NotDone, change
from folkmoot.cli.users.showing import account_lines, history
from folkmoot.node.data_directory import write_key
from folkmoot.protocol.accounts.actions import (
    Action,
    AddKey,
    Close,
    Create,
    Recover,
    Restore,
    RevokeKey,
    RotateKey,
    SetHandle,
    SetRecovery,
    Suspend,
)
from folkmoot.protocol.accounts.chain import Chain, Entry
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.client import Client, History
from folkmoot.protocol.errors import (
    CONFLICT,
    FORBIDDEN,
    INTERNAL,
    NO_QUORUM,
    REVOKED_KEY,
    TIMEOUT,
    UNCERTAIN,
    ErrorKind,
    WireError,
)
from folkmoot.protocol.identity import KeyPair, account_to_text

ALICE, PHONE, TABLET, RESCUE, OPERATOR, OTHER = (KeyPair(bytes([n]) * 32) for n in range(1, 7))
Step = tuple[KeyPair, Action]


def chain(*steps: Step) -> Chain:
    """Alice's account after some operations."""
    made = Chain(ALICE.account)
    for by, action in steps:
        previous = made.entries[-1].operation if made.entries else None
        operation = Operation.sign(by, ALICE.account, action, previous=previous, stamp=made.number)
        made = made.followed_by(operation, 1_000_000 * (made.number + 1))
    return made


CREATED: Step = (ALICE, Create(RESCUE.account))
ADDED: Step = (ALICE, AddKey(PHONE.account, "phone"))
REVOKED: Step = (ALICE, RevokeKey(PHONE.account, "lost"))
ROTATED: Step = (PHONE, RotateKey(ALICE.account, TABLET.account))
RECOVERED: Step = (RESCUE, Recover((TABLET.account,), OTHER.account))


@pytest.mark.parametrize(
    ("steps", "decide", "left"),
    [
        ([], lambda it: decisions.creation(it, RESCUE.account), Create(RESCUE.account)),
        ([], lambda it: decisions.creation(it, None), Create(None)),
        ([CREATED], lambda it: decisions.creation(it, RESCUE.account), None),
        ([(OPERATOR, Suspend())], lambda it: decisions.creation(it, None), Create(None)),
        ([CREATED], lambda it: decisions.addition(it, PHONE.account, "phone"), ADDED[1]),
        ([CREATED, ADDED], lambda it: decisions.addition(it, PHONE.account, "phone"), None),
        ([CREATED, ADDED], lambda it: decisions.revocation(it, PHONE.account, "lost"), REVOKED[1]),
        ([CREATED, ADDED, REVOKED], lambda it: decisions.revocation(it, PHONE.account, ""), None),
        (
            [CREATED, ADDED],
            lambda it: decisions.rotation(it, PHONE.account, TABLET.account, ""),
            RotateKey(PHONE.account, TABLET.account, "phone"),
        ),
        (
            [CREATED, ADDED, ROTATED],
            lambda it: decisions.rotation(it, ALICE.account, TABLET.account, ""),
            None,
        ),
        ([CREATED], lambda it: decisions.recovering(it, (PHONE.account,), None), Recover((PHONE.account,))),
        ([CREATED, RECOVERED], lambda it: decisions.recovering(it, (TABLET.account,), OTHER.account), None),
        ([CREATED, RECOVERED], lambda it: decisions.recovering(it, (TABLET.account,), None), None),
        ([CREATED], lambda it: decisions.next_recovery(it, OTHER.account), SetRecovery(OTHER.account)),
        ([CREATED], lambda it: decisions.next_recovery(it, RESCUE.account), None),
        ([CREATED], lambda it: decisions.naming(it, "alice"), SetHandle("alice")),
        ([CREATED, (ALICE, SetHandle("alice"))], lambda it: decisions.naming(it, "alice"), None),
        ([CREATED, (ALICE, SetHandle("alice"))], lambda it: decisions.naming(it, None), SetHandle(None)),
        ([], lambda it: decisions.naming(it, None), None),
        ([CREATED], lambda it: decisions.closing(it, "moved"), Close("moved")),
        ([CREATED, (ALICE, Close())], lambda it: decisions.closing(it, "moved"), None),
        ([], lambda it: decisions.suspension(it, "spam"), Suspend("spam")),
        ([(OPERATOR, Suspend())], lambda it: decisions.suspension(it, "spam"), None),
        ([(OPERATOR, Suspend())], lambda it: decisions.restoration(it, "sorry"), Restore("sorry")),
        ([], lambda it: decisions.restoration(it, "sorry"), None),
    ],
)
def test_what_is_left_to_do(
    steps: list[Step], decide: Callable[[Account], Action | None], left: Action | None
) -> None:
    assert decide(chain(*steps).state) == left


@pytest.mark.parametrize(
    ("steps", "decide", "complaint"),
    [
        ([CREATED], lambda it: decisions.creation(it, OTHER.account), "another recovery key"),
        ([(ALICE, Create())], lambda it: decisions.creation(it, OTHER.account), "with no recovery key"),
        ([], lambda it: decisions.addition(it, PHONE.account, ""), "was not created"),
        ([CREATED], lambda it: decisions.addition(it, RESCUE.account, ""), "recovery key, which cannot"),
        (
            [CREATED, ADDED, REVOKED],
            lambda it: decisions.addition(it, PHONE.account, ""),
            "never signs again",
        ),
        ([CREATED], lambda it: decisions.revocation(it, PHONE.account, ""), "none of the account's"),
        ([(ALICE, Create())], lambda it: decisions.revocation(it, ALICE.account, ""), "the only key"),
        ([CREATED], lambda it: decisions.rotation(it, PHONE.account, TABLET.account, ""), "none of the"),
        ([CREATED, ADDED], lambda it: decisions.rotation(it, ALICE.account, PHONE.account, ""), "already"),
        (
            [(ALICE, Create())],
            lambda it: decisions.recovering(it, (PHONE.account,), None),
            "never be recovered",
        ),
        ([CREATED, ADDED], lambda it: decisions.recovering(it, (PHONE.account,), None), "can sign already"),
        ([], lambda it: decisions.naming(it, "alice"), "was not created"),
        ([], lambda it: decisions.closing(it, ""), "was not created"),
        (
            [CREATED, ADDED],
            lambda it: decisions.key_called(it, "watch"),
            "no device of the account is called",
        ),
        (
            [CREATED, ADDED, (ALICE, AddKey(TABLET.account, "phone"))],
            lambda it: decisions.key_called(it, "phone"),
            "several devices are called",
        ),
    ],
)
def test_what_makes_no_sense_is_said(
    steps: list[Step], decide: Callable[[Account], object], complaint: str
) -> None:
    with pytest.raises(OperatorError, match=complaint):
        decide(chain(*steps).state)


def test_a_device_is_named_by_its_key_or_by_what_people_call_it() -> None:
    state = chain(CREATED, ADDED, REVOKED, (ALICE, AddKey(TABLET.account, "phone"))).state
    assert decisions.key_called(state, "phone") == TABLET.account, "the one that may sign"
    assert decisions.key_called(state, account_to_text(PHONE.account)) == PHONE.account
    with pytest.raises(WireError):
        decisions.key_called(state, "did:key:nonsense")


def test_a_history_says_who_signed_what() -> None:
    told = history(chain(CREATED, ADDED, (PHONE, SetHandle("al")), (OPERATOR, Suspend("spam")), RECOVERED))
    assert [each["by"] for each in told] == ["first key", "first key", "phone", "operator", "recovery key"]
    assert [each["action"] for each in told] == ["create", "add_key", "set_handle", "suspend", "recover"]
    assert told[1]["body"] == {"key": account_to_text(PHONE.account), "name": "phone"}
    assert told[4]["body"]["keys"] == [account_to_text(TABLET.account)]
    assert told[0]["time"] == "1970-01-01 00:00:01 UTC"


def test_what_an_account_is_is_said_in_words() -> None:
    lines = account_lines(chain((ALICE, Create()), (ALICE, SetHandle("al")), (OPERATOR, Suspend())).state)
    assert lines[1] == "@al; suspended; no recovery key: cannot be recovered; 3 operations"
    assert "closed" in account_lines(chain(CREATED, (ALICE, Close())).state)[1]


class Cluster:
    """A client of a cluster with one account, in which others are as fast as a test wants them to be.

    Attributes:
        chain: what was decided.
        meanwhile: what others do, each before the next change comes.
        failures: raised for the next changes.
        silence: raised for every reading.
    """

    def __init__(self, *steps: Step) -> None:
        self.chain = chain(*steps)
        self.meanwhile: list[Step] = []
        self.failures: list[WireError] = []
        self.silence: WireError | None = None
        self.sent = 0

    async def account_history(self, account: bytes, *, current: bool = False) -> History:
        assert current, "what is signed must follow what is decided"
        if self.silence is not None:
            raise self.silence
        return History(account, self.chain.number, tuple(self.chain.entries))

    async def account_change(self, operation: Operation) -> None:
        self.sent += 1
        if self.meanwhile:
            by, action = self.meanwhile.pop(0)
            previous = self.chain.entries[-1].operation if self.chain.entries else None
            other = Operation.sign(by, ALICE.account, action, previous=previous, stamp=0)
            self.chain = self.chain.followed_by(other, 0)
        if self.failures:
            raise self.failures.pop(0)
        operation.verify()
        self.chain = self.chain.followed_by(operation, 0)

    async def does(self, decide: Callable[[Account], Action | None], by: KeyPair = ALICE) -> Any:
        return await change(cast("Client", self), ALICE.account, by, decide)


def adding(key: KeyPair = PHONE) -> Callable[[Account], Action | None]:
    return lambda state: decisions.addition(state, key.account, "phone")


async def test_a_change_is_made_and_repeating_it_changes_nothing() -> None:
    cluster = Cluster(CREATED)
    done = await cluster.does(adding())
    assert done.action == ADDED[1] and done.account == cluster.chain.state
    again = await cluster.does(adding())
    assert again.action is None and again.account == cluster.chain.state and cluster.sent == 1


async def test_who_is_overtaken_once_tries_again() -> None:
    cluster = Cluster(CREATED)
    cluster.meanwhile = [(ALICE, AddKey(TABLET.account))]
    done = await cluster.does(adding())
    assert done.account.signing_keys() == (ALICE.account, TABLET.account, PHONE.account)


async def test_who_is_overtaken_by_the_same_has_nothing_left_to_do() -> None:
    cluster = Cluster(CREATED)
    cluster.meanwhile = [ADDED]
    assert (await cluster.does(adding())).action is None and cluster.sent == 1


async def test_who_is_overtaken_by_what_makes_it_senseless_is_told() -> None:
    cluster = Cluster(CREATED, ADDED)
    cluster.meanwhile = [(ALICE, RevokeKey(PHONE.account))]
    with pytest.raises(NotDone) as error:
        await cluster.does(lambda state: decisions.naming(state, "al"), by=PHONE)
    assert error.value.details["kind"] == REVOKED_KEY.name and error.value.exit_code == FAILED
    assert (error.value.hint or "").startswith("folkmoot user show did:key:")


async def test_who_is_overtaken_time_and_again_is_told() -> None:
    cluster = Cluster(CREATED)
    cluster.meanwhile = [(ALICE, SetHandle(name)) for name in ("one", "two", "three")]
    with pytest.raises(NotDone, match="read the account, and sign again"):
        await cluster.does(adding())
    assert cluster.sent == 2


@pytest.mark.parametrize(
    ("failure", "message", "hint", "code"),
    [
        (WireError(UNCERTAIN, "lost"), "not known yet", "the same command again, which is safe", DEGRADED),
        (WireError(TIMEOUT, "silence"), "not known yet", "the same command again, which is safe", DEGRADED),
        (WireError(NO_QUORUM, "1 of 3"), "nothing was changed", "folkmoot status", DEGRADED),
        (WireError(FORBIDDEN, "suspended"), "suspended", "folkmoot user show", FAILED),
        (
            WireError(CONFLICT, "taken", details={"handle": "al", "taken": "a1"}),
            "taken",
            "folkmoot user handle who a1",
            FAILED,
        ),
        (WireError(CONFLICT, "later", details={"handle": "al", "free_at_us": 1}), "later", "", FAILED),
        (
            WireError(CONFLICT, "many", details={"handle": "al", "given_up": 5, "free_at_us": 1}),
            "many",
            "--history",
            FAILED,
        ),
    ],
)
async def test_a_refusal_says_what_to_do(failure: WireError, message: str, hint: str, code: int) -> None:
    cluster = Cluster(CREATED)
    cluster.failures = [failure]
    with pytest.raises(NotDone, match=message) as error:
        await cluster.does(adding())
    assert hint in (error.value.hint or "") and error.value.exit_code == code and cluster.sent == 1


@pytest.mark.parametrize("kind", [NO_QUORUM, TIMEOUT])
async def test_nothing_is_signed_while_the_account_cannot_be_read(kind: ErrorKind) -> None:
    cluster = Cluster(CREATED)
    cluster.silence = WireError(kind, "1 of 3")
    with pytest.raises(NotDone, match="nothing was changed") as error:
        await cluster.does(adding())
    assert "folkmoot status" in (error.value.hint or "") and error.value.exit_code == DEGRADED
    assert cluster.sent == 0


async def test_other_errors_stay_what_they_are() -> None:
    cluster = Cluster(CREATED)
    cluster.failures = [WireError(INTERNAL, "a bug")]
    with pytest.raises(WireError, match="a bug"):
        await cluster.does(adding())


async def test_a_chain_that_does_not_hold_is_not_followed() -> None:
    cluster = Cluster(CREATED)
    operation = cluster.chain.entries[0].operation
    forged = Operation(operation.payload, bytes(64))
    cluster.chain = Chain(ALICE.account, [Entry(forged, 0)])
    with pytest.raises(WireError, match="is not signed by the key it names"):
        await cluster.does(adding())
    assert cluster.sent == 0


@pytest.mark.parametrize(
    "words",
    [
        ("create", "a.key"),
        ("create", "a.key", "--recovery", "a.rec", "--no-recovery"),
        ("show", "did:key:nonsense"),
        ("show", "x"),
        ("show", "no such file.key"),
        ("keys", "add", "a.key"),
        ("keys", "add", "a.key", "b.key", "--key", account_to_text(PHONE.account)),
        ("keys", "add", "a.key", "b.key", "--name", "n" * 65),
        ("keys", "add", "a.key", "--key", "did:key:nonsense"),
        ("keys", "revoke", "a.key", "phone", "--reason", "r" * 281),
        ("recover", "alice", "b.key", "--recovery", "a.rec"),
        ("recover", account_to_text(ALICE.account), "b.key"),
        ("handle", "set", "a.key", "not a handle"),
        ("handle", "who", "!"),
        ("close", "a.key", "--reason", "r" * 281),
        ("suspend", account_to_text(ALICE.account), "--reason", "r" * 281),
    ],
)
def test_words_that_make_no_sense_are_usage_errors(
    folkmoot: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    ran = folkmoot("user", *words, "--node", "127.0.0.1:1", "--tls", "off")
    assert (ran.code, ran.out) == (USAGE, ""), ran.err
    assert not list(tmp_path.glob("*.key")), "nothing was made"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("close", "a.key"), "nobody is here to be asked"),
        (("purge", "a.rec"), "signs no posts"),
        (("handle", "set", "absent.key", "al"), "does not exist; make one with"),
        (("handle", "set", "a.rec", "al"), "signs no posts"),
        (("recover", account_to_text(OTHER.account), "b.key", "--recovery", "a.rec"), "no other account"),
        (("new-recovery", "a.key", "b.rec"), "not a recovery key"),
        (("create", "a.rec", "--no-recovery"), "belongs to"),
        (("rotate-key", "a.key", "a.key"), "never overwritten"),
        (("suspend", account_to_text(OTHER.account)), "no operator's key is at hand"),
    ],
)
def test_what_is_wrong_with_key_files_is_said_before_anybody_is_asked(
    folkmoot: Any, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    write_key(tmp_path / "a.key", ALICE.seed)
    write_key(tmp_path / "a.rec", RESCUE.seed, owner=ALICE.account, recovers=True)
    ran = folkmoot("user", *words, "--node", "127.0.0.1:1", "--tls", "off")
    assert ran.code == FAILED and complaint in ran.err
    assert not (tmp_path / "b.key").exists()


def test_a_key_for_another_device_is_made_where_it_is_used(folkmoot: Any, tmp_path: Path) -> None:
    account = account_to_text(ALICE.account)
    made = folkmoot("keys", "new", "phone.key", "--account", account, "--json").json
    assert made["account"] == account != made["key"] and made["use"] == "signing"
    assert folkmoot("keys", "show", "phone.key").out.splitlines() == [
        f"account {account}",
        f"key     {made['key']}",
    ]
    write_key(tmp_path / "a.rec", RESCUE.seed, owner=ALICE.account, recovers=True)
    assert folkmoot("keys", "show", "a.rec", "--json").json["use"] == "recovery"
    assert "its recovery key" in folkmoot("keys", "show", "a.rec").out
