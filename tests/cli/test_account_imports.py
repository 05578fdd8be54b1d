"""Accounts that arrive: what is brought when, and imports that go on where they were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED
from folkmoot.cli.users import bringing
from folkmoot.cli.users.archive_files import Contents
from folkmoot.cli.users.bringing import Brought, Importer
from folkmoot.cli.users.schedule import steps
from folkmoot.protocol.accounts.actions import (
    Action,
    AddKey,
    Close,
    Recover,
    SetHandle,
    Suspend,
)
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
from folkmoot.protocol.record import Record

from tests.cli.travel import (
    ADA,
    CREATED,
    LIFE,
    LOST,
    NEW,
    OPERATOR,
    PHONE,
    RECORDS,
    RESCUE,
    Step,
    archive,
    chain,
)


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
    monkeypatch.setattr(bringing, "BREATH_ITEMS", 3)
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
