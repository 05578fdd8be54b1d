"""Accounts on the move: what is brought when, exports that break off, imports that go on where they were."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED
from folkmoot.cli.users import bringing
from folkmoot.cli.users.archive_files import Contents, Damaged, check
from folkmoot.cli.users.bringing import Brought, Importer
from folkmoot.cli.users.exporting import export, part_of
from folkmoot.cli.users.schedule import steps
from folkmoot.protocol.accounts.actions import (
    Action,
    AddKey,
    Close,
    Create,
    Recover,
    RevokeKey,
    RotateKey,
    SetHandle,
    Suspend,
)
from folkmoot.protocol.accounts.archive import ArchiveWriter, Header
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.client import Client, History, PutResult
from folkmoot.protocol.errors import (
    BUSY,
    CONFLICT,
    RATE_LIMITED,
    REFUSED_BY_POLICY,
    REVOKED_KEY,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.record import Record

ADA, PHONE, LOST, RESCUE, OPERATOR, NEW = (KeyPair(bytes([number]) * 32) for number in range(1, 7))
Step = tuple[KeyPair, Action]
_stamps = itertools.count(1)


def chain(*what: Step) -> Chain:
    made = Chain(ADA.account)
    for by, action in what:
        previous = made.entries[-1].operation if made.entries else None
        operation = Operation.sign(by, ADA.account, action, previous=previous, stamp=made.number)
        made = made.followed_by(operation, made.number)
    return made


CREATED: Step = (ADA, Create(RESCUE.account))
LIFE: tuple[Step, ...] = (
    CREATED,
    (ADA, AddKey(PHONE.account)),
    (ADA, AddKey(LOST.account)),
    (ADA, RevokeKey(LOST.account)),
    (PHONE, RotateKey(PHONE.account, NEW.account)),
)


def post(number: int, key: KeyPair = ADA, text: str = "hello") -> Record:
    item = bytes(6) + b"\x70\0\x80" + bytes(6) + bytes([number])
    return Record.sign(
        key, author=ADA.account, kind="post", item=item, body={"text": text}, stamp=next(_stamps)
    )


RECORDS = [
    *(post(number, key) for number, key in enumerate([ADA, PHONE, LOST, LOST, NEW])),
    *(post(9, ADA, text) for text in ("first", "second", "third")),
]


def archive(file: Path, records: Sequence[Record] = RECORDS, of: Chain | None = None) -> Contents:
    """An archive in a file, checked."""
    writer = ArchiveWriter(Header(ADA.account, "elsewhere", 1))
    whole = writer.begin() + b"".join(writer.record(record) for record in records)
    file.write_bytes(whole + writer.chain(of or chain(*LIFE)) + writer.manifest(None))
    return check(file, lambda done, total: None)


class TestSchedule:
    def shown(self, there: Chain, archived: Chain) -> list[tuple[set[bytes], str]]:
        keys = [key.account for key in (ADA, PHONE, LOST, NEW)]
        return [
            (set(step.devices), step.operation.action.name if step.operation else "")
            for step in steps(there, archived, keys)
        ]

    def test_what_a_key_signed_comes_before_the_operation_that_ends_it(self) -> None:
        assert self.shown(chain(), chain(*LIFE)) == [
            (set(), "create"),
            (set(), "add_key"),
            (set(), "add_key"),
            ({LOST.account}, "revoke_key"),
            ({PHONE.account}, "rotate_key"),
            ({ADA.account, NEW.account}, ""),
        ]

    def test_what_was_done_there_is_not_done_again(self) -> None:
        assert self.shown(chain(*LIFE[:4]), chain(*LIFE)) == [
            ({PHONE.account}, "rotate_key"),
            ({ADA.account, NEW.account}, ""),
            ({LOST.account}, ""),
        ]
        longer = chain(*LIFE, (ADA, SetHandle("ada")))
        assert self.shown(longer, chain(*LIFE)) == [
            ({ADA.account, NEW.account}, ""),
            ({LOST.account, PHONE.account}, ""),
        ]

    @pytest.mark.parametrize(
        "last", [(ADA, Close()), (OPERATOR, Suspend()), (RESCUE, Recover((NEW.account,)))]
    )
    def test_what_ends_all_keys_comes_after_all_records(self, last: Step) -> None:
        shown = self.shown(chain(), chain(*LIFE[:3], last))
        assert shown[3] == ({ADA.account, PHONE.account, LOST.account}, last[1].name)

    def test_an_account_that_has_gone_another_way_is_left_alone(self) -> None:
        there = chain(CREATED, (ADA, AddKey(NEW.account)))
        with pytest.raises(OperatorError, match="from operation 2 on"):
            list(steps(there, chain(*LIFE), []))


class Town:
    """A client of another cluster: its gate refuses keys that may not sign, and its cells are a dictionary.

    Attributes:
        chain: of the account there.
        records: what it has taken, in order.
        calls: how many puts came.
        break_after: how many puts it takes before it is out of reach.
        refusing: operations that cannot be made, by action, and why.
    """

    def __init__(self, *what: Step) -> None:
        self.chain = chain(*what)
        self.records: dict[bytes, Record] = {}
        self.calls = 0
        self.break_after = 1_000
        self.refusing: dict[str, WireError] = {}
        self.policy = ""
        self.late = 0

    async def account_history(self, account: bytes, *, current: bool = False) -> History:
        return History(account, self.chain.number, self.chain.entries)

    async def account_change(self, operation: Operation) -> None:
        error = self.refusing.get(operation.action.name)
        if error is not None:
            if error.kind is RATE_LIMITED:
                del self.refusing[operation.action.name]
            raise error
        operation.verify()
        self.chain = self.chain.followed_by(operation, 0)

    async def put_records(self, records: Sequence[tuple[bytes, bytes]], level: str) -> list[PutResult]:
        self.calls += 1
        if self.calls > self.break_after:
            raise WireError(BUSY, "gone for today")
        return [self._put(Record(*frame)) for frame in records]

    def _put(self, record: Record) -> PutResult:
        if self.late:
            self.late -= 1
            return _refused(record, WireError(REVOKED_KEY, "has not heard yet"))
        if not self.chain.state.may_sign(record.device):
            return _refused(record, WireError(REVOKED_KEY, "not a key"))
        if self.policy and self.policy in record.body["text"]:
            return _refused(record, WireError(REFUSED_BY_POLICY, "a word that is not said here"))
        status = "duplicate" if record.id in self.records else "stored"
        self.records[record.id] = record
        return PutResult(record.id, status, None, None, None)

    async def get(self, keys: Sequence[Any], *, level: str) -> list[Any]:
        told: list[Any] = []
        for place, _, item in keys:
            held = [each for each in self.records.values() if (each.place, each.item) == (place, item)]
            clock = {each.device.hex(): max(one.stamp for one in held) for each in held}
            told.append({"clock": clock} if held else None)
        return told

    def importer(self, file: Path, contents: Contents, checkpoint: Path | None = None) -> Importer:
        return Importer(
            cast("Client", self), file, contents, "all", checkpoint, lambda done, total: None, self.note
        )

    async def takes(self, file: Path, contents: Contents, checkpoint: Path | None = None) -> Brought:
        return await self.importer(file, contents, checkpoint).run()

    def note(self, sentence: str) -> None:
        pass


def _refused(record: Record, error: WireError) -> PutResult:
    return PutResult(record.id, "refused", None, None, error.to_wire())


async def test_everything_comes_whoever_signed_it(tmp_path: Path, autojump_clock: object) -> None:
    file, town = tmp_path / "ada", Town()
    brought = await town.takes(file, archive(file))
    assert brought.complete and brought.operations == 5
    assert brought.statuses == {"stored": len(RECORDS)}
    assert town.chain.hashes == chain(*LIFE).hashes
    assert {each.id: each for each in RECORDS} == town.records
    edits = [each.id for each in town.records.values() if each.item[-1] == 9]
    assert edits == [each.id for each in RECORDS[-3:]], "none came after its successor"


def test_records_of_one_cell_are_put_one_after_the_other() -> None:
    waves = bringing._waves(RECORDS)
    assert [len(wave) for wave in waves] == [6, 1, 1]
    assert [wave[-1].body["text"] for wave in waves] == ["first", "second", "third"]


async def test_once_more_changes_nothing(tmp_path: Path, autojump_clock: object) -> None:
    file, town = tmp_path / "ada", Town()
    contents = archive(file)
    await town.takes(file, contents)
    again = await town.takes(file, contents)
    assert again.complete and again.operations == 0 and again.statuses["duplicate"] == len(RECORDS), (
        "also what revoked keys have signed is known to be there"
    )


async def test_an_import_that_breaks_off_goes_on_where_it_was(
    tmp_path: Path, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "WINDOW_RECORDS", 2)
    file, checkpoint = tmp_path / "ada", tmp_path / "state" / "checkpoint"
    contents = archive(file)
    whole = Town()
    await whole.takes(file, contents)
    for broken in range(whole.calls):
        checkpoint.unlink(missing_ok=True)
        town = Town()
        town.break_after = broken
        with pytest.raises(WireError, match="gone for today"):
            await town.takes(file, contents, checkpoint)
        calls, town.break_after = town.calls, 1_000
        brought = await town.takes(file, contents, checkpoint)
        assert brought.complete and brought.statuses.total() == len(RECORDS)
        assert town.records.keys() == whole.records.keys() and town.chain.hashes == whole.chain.hashes
        assert town.calls - calls <= whole.calls - broken + 2, "what was settled is not sent again"
        settled = await town.takes(file, contents, checkpoint)
        assert settled.statuses == {"settled": len(RECORDS)} and settled.complete


async def test_a_damaged_checkpoint_is_forgotten(tmp_path: Path, autojump_clock: object) -> None:
    file, town = tmp_path / "ada", Town()
    (tmp_path / "checkpoint").write_text("{")
    brought = await town.takes(file, archive(file), tmp_path / "checkpoint")
    assert brought.statuses["stored"] == len(RECORDS)


async def test_nodes_that_have_not_heard_of_a_key_yet_are_asked_again(
    tmp_path: Path, autojump_clock: object
) -> None:
    file, town = tmp_path / "ada", Town()
    town.late = 3
    assert (await town.takes(file, archive(file))).complete


async def test_what_the_policy_there_refuses_is_told(tmp_path: Path, autojump_clock: object) -> None:
    file, town = tmp_path / "ada", Town()
    town.policy = "second"
    brought = await town.takes(file, archive(file))
    assert not brought.complete and brought.statuses["refused"] == 1
    assert brought.reasons == {"a word that is not said here": 1}


async def test_who_never_settles_anything_is_given_up(tmp_path: Path, autojump_clock: object) -> None:
    file, town = tmp_path / "ada", Town()
    town.late = 1_000_000
    with pytest.raises(OperatorError, match="not settled after a minute: has not heard") as error:
        await town.takes(file, archive(file))
    assert error.value.exit_code == DEGRADED


async def test_changes_that_are_too_fast_are_waited_for(tmp_path: Path, autojump_clock: object) -> None:
    file, town = tmp_path / "ada", Town()
    town.refusing = {"add_key": WireError(RATE_LIMITED, "slowly", retry_after_ms=10_000)}
    assert (await town.takes(file, archive(file))).complete


@pytest.mark.parametrize(
    ("action", "by", "error", "told"),
    [
        (
            SetHandle("ada"),
            ADA,
            WireError(CONFLICT, "taken", details={"handle": "ada"}),
            "cannot be made here",
        ),
        (Suspend("spam"), OPERATOR, WireError(UNAUTHENTICATED, "send auth"), "by an operator elsewhere"),
    ],
)
async def test_what_cannot_be_done_there_is_left_out_with_what_follows(
    tmp_path: Path, autojump_clock: object, action: Action, by: KeyPair, error: WireError, told: str
) -> None:
    file, town = tmp_path / "ada", Town()
    town.refusing = {action.name: error}
    brought = await town.takes(file, archive(file, RECORDS[:4], chain(*LIFE[:3], (by, action))))
    assert told in brought.left_out and not brought.complete
    assert brought.operations == 3 and brought.statuses["stored"] == 4


async def test_an_account_that_has_gone_another_way_is_not_touched(tmp_path: Path) -> None:
    file, town = tmp_path / "ada", Town(CREATED, (ADA, AddKey(NEW.account)))
    with pytest.raises(OperatorError, match="another way"):
        await town.takes(file, archive(file))
    assert not town.records and town.chain.number == 2


class Pages:
    """A client that tells an account's records page by page, and is gone after some.

    Attributes:
        left: how many pages it tells.
    """

    def __init__(self, records: Sequence[Record], left: int = 1_000) -> None:
        self.records = list(records)
        self.left = left
        self.cluster = "town"

    async def ready(self) -> Pages:
        return self

    async def auth(self, key: KeyPair) -> None:
        pass

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert method == "account.records"
        if not self.left:
            raise WireError(BUSY, "gone for today")
        self.left -= 1
        start = int.from_bytes(params["after"][-1:], "big") if "after" in params else 0
        told: dict[str, Any] = {"records": [each.to_wire() for each in self.records[start : start + 2]]}
        if start + 2 < len(self.records):
            told["next"] = place_prefix(ADA.account) + bytes([1, start + 2])
        return told

    async def account_history(self, account: bytes, *, current: bool = False) -> History:
        assert current
        whole = chain(*LIFE)
        return History(account, whole.number, whole.entries)

    async def gives(self, file: Path, key: KeyPair | None = None) -> Any:
        return await export(cast("Client", self), ADA.account, file, key, "quorum", lambda done, total: None)


def ids(file: Path) -> int:
    return check(file, lambda done, total: None).seal.manifest.records


async def test_an_export_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "ada"
    assert (await Pages(RECORDS).gives(tmp_path / "whole")).resumed == 0
    for broken in range(4):
        with pytest.raises(WireError, match="gone for today"):
            await Pages(RECORDS, broken).gives(file)
        assert not file.exists() and part_of(file).stat().st_mode & 0o777 == 0o600
        with part_of(file).open("ab") as torn:
            torn.write(b"\0\0\1\0torn")
        made = await Pages(RECORDS).gives(file)
        assert (made.records, made.resumed) == (len(RECORDS), 2 * broken)
        assert ids(file) == len(RECORDS) and not part_of(file).exists()
        file.unlink()


async def test_an_export_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "ada"
    with pytest.raises(WireError):
        await Pages(RECORDS, 1).gives(file)
    with pytest.raises(OperatorError, match="an export that was begun"):
        await Pages(RECORDS).gives(file, ADA)
    moved = Pages(RECORDS)
    moved.cluster = "elsewhere"
    with pytest.raises(OperatorError, match="in cluster town, without a key"):
        await moved.gives(file)
    assert (await Pages(RECORDS).gives(file)).resumed == 2


async def test_an_archive_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "ada"
    await Pages(RECORDS).gives(file, ADA)
    before = file.read_bytes()
    with pytest.raises(OperatorError, match="never overwritten"):
        await Pages(RECORDS).gives(file, ADA)
    assert file.read_bytes() == before and not part_of(file).exists()


@pytest.mark.parametrize(
    ("records", "key", "complaint"),
    [
        ([post(1, OPERATOR)], None, "was never the account's"),
        ([Record.sign(NEW, kind="post", item=RECORDS[0].item, body={"text": "x"}, stamp=1)], None, "instead"),
        (RECORDS, LOST, "or was revoked"),
    ],
)
async def test_what_would_not_hold_is_not_finished(
    tmp_path: Path, records: list[Record], key: KeyPair | None, complaint: str
) -> None:
    with pytest.raises(OperatorError, match=complaint):
        await Pages(records).gives(tmp_path / "ada", key)
    assert not (tmp_path / "ada").exists()


def test_a_damaged_file_is_named_with_the_place(folkmoot: Any, tmp_path: Path) -> None:
    file = tmp_path / "ada"
    archive(file)
    damaged = bytearray(file.read_bytes())
    damaged[200] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(Damaged, match="frame 2 at byte"):
        check(file, lambda done, total: None)
    ran = folkmoot("user", "verify", "ada", "--json")
    assert ran.code == 1 and ran.json["error"]["name"] == "damaged" and ran.json["error"]["frame"] == 2
    assert folkmoot("user", "import", "ada", "--node", "127.0.0.1:1", "--tls", "off").code == 1


def test_an_archive_is_verified_without_a_cluster(folkmoot: Any, tmp_path: Path) -> None:
    archive(tmp_path / "ada")
    told = folkmoot("user", "verify", "ada", "--json").json
    assert told["records"] == len(RECORDS) and told["number"] == 5 and told["signer"] is None
    assert "some may be missing" in folkmoot("user", "verify", "ada").out
    assert folkmoot("user", "verify", "absent").code == 2
