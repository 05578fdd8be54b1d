"""The intake: requests of many connections share passes, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.intake import Intake
from folkmoot.node.contracts import Coverage, Origin, Put, PutRequest, PutResult, Settle
from folkmoot.node.environment import Executor
from folkmoot.node.examining import examine
from folkmoot.node.moderation.quota import QuotaRates, Rate
from folkmoot.node.system import SystemWallClock
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BUSY, REVOKED_KEY, WireError
from folkmoot.protocol.identity import MULTICODEC_ED25519, KeyPair
from folkmoot.protocol.moderation.verdict import Verdict
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import Slot
from folkmoot.protocol.token import Token

from tests.node.doubles import InlineExecutor, TickingExecutor
from tests.node.people import Author

BURST = 10
SERVICE = KeyPair(b"\x09" * 32)
SLOTS = tuple(Slot("eu", (bytes((number,)) * 16,)) for number in (1, 2, 3))
STORED = PutResult("stored", Coverage(SLOTS, frozenset({SLOTS[0].reader}), "eu"), changed=True)

Carry = Callable[[Sequence[Put], Level, Settle], Awaitable[None]]


class Coordination:
    """Brings puts where the test says.

    Attributes:
        passes: what it was given, in order: the level, and the puts.
        carry: what it does with them.
    """

    def __init__(self) -> None:
        self.passes: list[tuple[Level, list[Put]]] = []
        self.carry: Carry = stores

    async def put(self, puts: Sequence[Put], level: Level, settle: Settle) -> None:
        self.passes.append((level, list(puts)))
        await self.carry(puts, level, settle)


async def stores(puts: Sequence[Put], level: Level, settle: Settle) -> None:
    await trio.lowlevel.checkpoint()
    settle(dict.fromkeys(range(len(puts)), STORED))


class AnyKey:
    """Takes the first key of every account, and has nothing to note."""

    def refusal(self, author: bytes, key: bytes) -> WireError | None:
        return None if author == key else WireError(REVOKED_KEY, "another key")

    async def take(self, records: Sequence[Record]) -> None:
        return None


class Desk:
    """An intake at work, and what its clients were told."""

    def __init__(self, address_burst: int, executor: Executor | None = None) -> None:
        self.coordination = Coordination()
        self.wait_ms = 0
        self.judged: list[tuple[Record, Verdict]] = []
        self.told: dict[str, dict[str, Any] | WireError] = {}
        wall, executor = SystemWallClock(), executor or InlineExecutor()
        rates = QuotaRates(Rate(0.001, BURST), Rate(0.001, address_burst))
        self.gate = Gatekeeper(None, rates, wall=wall, executor=executor, secret=bytes(16))
        self.intake = Intake(
            wall,
            executor,
            self.gate,
            self.coordination,
            AnyKey(),
            SERVICE,
            trio.current_time,
            lambda count: self.wait_ms,
            lambda record: None,
            lambda judged: self.judged.extend(judged),
        )

    def submit(
        self,
        name: str,
        *records: Record | list[Any],
        level: Level = "quorum",
        token: Token | None = None,
        address: str = "192.0.2.1",
        exempt: bool = False,
    ) -> None:
        raw = [record.to_wire() if isinstance(record, Record) else record for record in records]

        def answer(answer: dict[str, Any] | WireError) -> None:
            assert name not in self.told, "a request is answered once"
            self.told[name] = answer

        origin = Origin(address, exempt)
        self.intake.submit(PutRequest(raw, level, token or Token(), origin, answer))

    async def rest(self) -> None:
        await trio.testing.wait_all_tasks_blocked(0.01)

    def statuses(self, name: str) -> list[str]:
        answer = self.told[name]
        assert isinstance(answer, dict), answer
        return [result["status"] for result in answer["results"]]

    def refusals(self, name: str) -> list[str]:
        answer = self.told[name]
        assert isinstance(answer, dict), answer
        return [result["error"]["name"] for result in answer["results"]]


@asynccontextmanager
async def opened(address_burst: int = 1_000_000, executor: Executor | None = None) -> AsyncIterator[Desk]:
    desk = Desk(address_burst, executor)
    async with trio.open_nursery() as nursery:
        await nursery.start(desk.intake.run)
        yield desk
        nursery.cancel_scope.cancel()


async def test_who_comes_while_feeds_are_far_behind_is_told_when_to_come_again() -> None:
    async with opened() as desk:
        desk.wait_ms = 700
        with pytest.raises(WireError) as refused:
            desk.submit("early", Author(1).post())
        assert (refused.value.kind, refused.value.retry_after_ms) == (BUSY, 700)
        desk.wait_ms = 0
        desk.submit("later", Author(1).post())
        await desk.rest()
        assert desk.statuses("later") == ["stored"]


async def test_what_many_bring_at_once_is_one_pass() -> None:
    async with opened() as desk:
        for number in range(20):
            desk.submit(str(number), Author(number + 1).post())
        await desk.rest()
        [(level, puts)] = desk.coordination.passes
        assert (level, len(puts)) == ("quorum", 20)
        assert all(desk.statuses(str(number)) == ["stored"] for number in range(20))


async def test_each_is_answered_when_its_own_records_are_settled() -> None:
    settles: list[Settle] = []
    finished = trio.Event()

    async def carry(puts: Sequence[Put], level: Level, settle: Settle) -> None:
        settles.append(settle)
        await finished.wait()

    async with opened() as desk:
        desk.coordination.carry = carry
        desk.submit("quick", Author(1).post())
        desk.submit("slow", Author(2).post(), Author(3).post())
        await desk.rest()
        settles[0]({2: STORED})
        assert desk.told == {}
        settles[0]({0: STORED})
        assert desk.told.keys() == {"quick"}
        settles[0]({1: PutResult("uncertain", error={"name": "level_unreachable"})})
        assert desk.statuses("slow") == ["uncertain", "stored"]
        finished.set()


async def test_levels_do_not_wait_for_each_other() -> None:
    hanging = trio.Event()

    async def carry(puts: Sequence[Put], level: Level, settle: Settle) -> None:
        if level == "all":
            await hanging.wait()
        await stores(puts, level, settle)

    async with opened() as desk:
        desk.coordination.carry = carry
        desk.submit("patient", Author(1).post(), level="all")
        desk.submit("hasty", Author(2).post(), level="one")
        await desk.rest()
        assert desk.told.keys() == {"hasty"}
        assert {level for level, _ in desk.coordination.passes} == {"all", "one"}
        hanging.set()
        await desk.rest()
        assert desk.statuses("patient") == ["stored"]


async def test_one_bad_record_spoils_nobody_elses() -> None:
    forged = [Author(1).post().payload, bytes(64)]
    async with opened() as desk:
        desk.submit("bad", forged, ["no record"], Author(1).post())
        desk.submit("good", Author(2).post())
        desk.submit("worse", forged)
        await desk.rest()
        assert desk.statuses("bad") == ["refused", "refused", "stored"]
        assert desk.statuses("good") == ["stored"]
        assert desk.statuses("worse") == ["refused"]
        [(_, puts)] = desk.coordination.passes
        assert len(puts) == 2


NOBODY = MULTICODEC_ED25519 + b"\xff" * 32
SMALL = MULTICODEC_ED25519 + b"\x01" + bytes(31)  # signs anything, for anybody


@pytest.mark.parametrize("nobody", [NOBODY, SMALL], ids=["no point", "of small order"])
async def test_nobody_is_followed_who_can_have_no_key(nobody: bytes) -> None:
    author, other = Author(1), Author(2)
    about = [("follow", b""), ("block", b""), ("listed", bytes(16))]
    async with opened() as desk:
        for who, on in ((nobody, True), (nobody, False), (other.account, True)):
            name = f"{who.hex()} {on}"
            desk.submit(name, *(author.record(kind, before + who, {"on": on}) for kind, before in about))
            await desk.rest()
            if who == nobody and on:
                assert desk.refusals(name) == ["bad_request"] * 3
            else:
                assert desk.statuses(name) == ["stored"] * 3, "what was said once can be taken back"


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """The records whose signatures were looked at."""
    looked_at: list[Record] = []

    async def counting(records: Sequence[Record], executor: Executor) -> list[WireError | None]:
        looked_at.extend(records)
        return await examine(records, executor)

    monkeypatch.setattr("folkmoot.node.actors.intake.examine", counting)
    return looked_at


async def test_a_flood_of_forgeries_is_verified_up_to_its_addresss_quota(verified: list[Record]) -> None:
    """And costs the account it names nothing, wherever that writes from."""
    author = Author(1)
    async with opened(address_burst=3 * BURST) as desk:
        for number in range(9):
            forged = [[author.post().payload, bytes(64)] for _ in range(BURST)]
            desk.submit(str(number), *forged)
            await desk.rest()
        assert len(verified) == 3 * BURST
        refusals = [name for number in range(9) for name in desk.refusals(str(number))]
        assert refusals == ["bad_signature"] * (3 * BURST) + ["rate_limited"] * (6 * BURST)
        desk.submit("their own", *(author.post() for _ in range(BURST)), address="192.0.2.2")
        await desk.rest()
        assert desk.statuses("their own") == ["stored"] * BURST


async def test_what_is_over_an_accounts_quota_is_not_verified(verified: list[Record]) -> None:
    author = Author(1)
    async with opened() as desk:
        desk.submit("one too many", *(author.post() for _ in range(BURST + 1)))
        await desk.rest()
        desk.submit("and more", *(author.post() for _ in range(BURST)))
        await desk.rest()
        assert desk.statuses("one too many") == ["stored"] * BURST + ["refused"]
        assert desk.statuses("and more") == ["refused"] * BURST
        assert len(verified) == BURST


async def test_tokens_name_only_what_their_own_client_wrote() -> None:
    async with opened() as desk:
        mine, theirs = Author(1).post(), Author(2).post()
        earlier = Token.of([(Author(3).post().key, {Author(3).account: 5})])
        desk.submit("mine", mine, token=earlier)
        desk.submit("theirs", theirs)
        await desk.rest()
        tokens = {}
        for name in ("mine", "theirs"):
            answer = desk.told[name]
            assert isinstance(answer, dict)
            tokens[name] = Token.decode(answer["token"])
        assert tokens["mine"].cells.keys() == {mine.key, *earlier.cells}
        assert tokens["theirs"].cells.keys() == {theirs.key}


async def test_a_bug_is_answered_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def carry(puts: Sequence[Put], level: Level, settle: Settle) -> None:
        settle({0: STORED})
        raise ZeroDivisionError

    async with opened() as desk:
        desk.coordination.carry = carry
        desk.submit("settled", Author(1).post())
        desk.submit("not settled", Author(2).post())
        await desk.rest()
        assert desk.statuses("settled") == ["stored"]
        error = desk.told["not settled"]
        assert isinstance(error, WireError) and error.kind.name == "internal"
        assert "ZeroDivisionError" in caplog.text
        desk.coordination.carry = stores
        desk.submit("afterwards", Author(3).post())
        await desk.rest()
        assert desk.statuses("afterwards") == ["stored"]


async def test_records_in_work_are_bounded_and_let_go() -> None:
    hanging = trio.Event()

    async def carry(puts: Sequence[Put], level: Level, settle: Settle) -> None:
        await hanging.wait()
        await stores(puts, level, settle)

    wrong = [["no record"]] * limits.RECORDS_PER_PUT
    async with opened() as desk:
        desk.coordination.carry = carry
        taken = limits.RECORDS_IN_INTAKE // limits.RECORDS_PER_PUT
        for number in range(taken):
            desk.submit(str(number), *wrong, address=str(number % 16))
        with pytest.raises(WireError) as refused:
            desk.submit("one too many", Author(1).post())
        assert refused.value.kind is BUSY
        await desk.rest()
        assert len(desk.told) == taken
        desk.submit("there is room again", Author(1).post())
        hanging.set()
        await desk.rest()
        assert desk.statuses("there is room again") == ["stored"]


async def test_one_address_leaves_room_for_the_others() -> None:
    wrong = [["no record"]] * limits.RECORDS_PER_PUT
    async with opened() as desk:
        for number in range(limits.RECORDS_IN_INTAKE_PER_ADDRESS // limits.RECORDS_PER_PUT):
            desk.submit(str(number), *wrong)
        with pytest.raises(WireError, match="from your address") as refused:
            desk.submit("one too many", Author(1).post())
        assert refused.value.kind is BUSY
        desk.submit("an operator's import", Author(1).post(), exempt=True)
        desk.submit("somebody else", Author(2).post(), address="192.0.2.2")
        await desk.rest()
        assert desk.statuses("somebody else") == desk.statuses("an operator's import") == ["stored"]
        [(_, puts), *_] = desk.coordination.passes
        assert any(put.record.author == Author(2).account for put in puts), "it was in the first pass"
        desk.submit("there is room again", Author(1).post())
        await desk.rest()
        assert desk.statuses("there is room again") == ["stored"]


async def test_who_is_over_the_quota_pays_for_what_changed_and_not_for_others() -> None:
    author = Author(1)
    async with opened() as desk:
        desk.submit("first", *(author.post() for _ in range(BURST - 1)))
        desk.submit("second", author.post(), author.post())
        desk.submit("somebody else", Author(2).post())
        await desk.rest()
        assert desk.statuses("first") == ["stored"] * (BURST - 1)
        assert desk.statuses("second") == ["stored", "refused"]
        assert desk.statuses("somebody else") == ["stored"]


@pytest.mark.parametrize("slow", [True, False])
async def test_others_go_first_when_judging_has_taken_a_moment(
    slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, seen = 0, list[int]()

    async def bystander() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with opened(executor=TickingExecutor(0.02) if slow else None) as desk:
        judge_batch = desk.gate.judge_batch

        def noted(*args: Any) -> Any:
            seen.append(turns)
            return judge_batch(*args)

        monkeypatch.setattr(desk.gate, "judge_batch", noted)
        desk.submit("many", *(Author(number).post() for number in range(8)))
        desk.submit("one", Author(9).post())
        desk.submit("other", Author(10).post())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bystander)
            while len(desk.told) < 3:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert desk.statuses("many") == ["stored"] * 8
        assert desk.statuses("one") == desk.statuses("other") == ["stored"]
    if slow:
        assert len(seen) == 10 and seen[-1] - seen[0] >= 8
    else:
        assert len(seen) == 3 and len(set(seen)) == 1
