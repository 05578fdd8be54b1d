"""Keys: on evidence made up by hand, in which each promise about accounts is broken alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from folkmoot.node.registers.accounts import account_register
from folkmoot.node.simulation.checkers import keys
from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Quiet, Verdict
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.key_history import Answer, DevicePost, KeyChange
from folkmoot.node.simulation.surroundings import EPOCH_US
from folkmoot.node.simulation.witness import Witness
from folkmoot.protocol import codec
from folkmoot.protocol.accounts.actions import Action, AddKey, Create, RevokeKey, SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.consensus.ballot import Ballot
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import State
from folkmoot.protocol.consensus.value import Value
from folkmoot.protocol.consensus.wire import SeatRecord, encode_record, encode_state
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record
from folkmoot.storage.accounts import AccountBook
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change, MemoryEngine
from folkmoot.storage.rows import seal

from tests.node.people import Author
from tests.simulation.test_verdicts import NODE, OTHER, evidence

ANN, BEN = Author(1), Author(2)
PHONE, RESCUE, SERVICE = (KeyPair(bytes([number]) * 32) for number in (11, 12, 13))
NAMES = {NODE: "n1", OTHER: "n2"}
ADDED_S, REVOKED_S, HEARD_S = 10.0, 20.0, 40.0
SECOND_US = 1_000_000


def chain_of(author: Author, *actions: tuple[float, Action]) -> Chain:
    """What was done to an account, and when by an exact clock, in virtual seconds."""
    chain = Chain(author.account)
    for at_s, action in actions:
        previous = chain.entries[-1].operation if chain.entries else None
        operation = Operation.sign(author.device, author.account, action, previous=previous, stamp=1)
        chain = chain.followed_by(operation, EPOCH_US + int(at_s * SECOND_US))
    return chain


CREATED = (1.0, Create(RESCUE.account))
ADDED = chain_of(ANN, CREATED, (ADDED_S, AddKey(PHONE.account)))
REVOKED = chain_of(ANN, CREATED, (ADDED_S, AddKey(PHONE.account)), (REVOKED_S, RevokeKey(PHONE.account)))


class House:
    """Two nodes that hold a seat each, and know all; n1 heard of a revocation long after n2."""

    def __init__(self) -> None:
        self.now = 0.0
        self.history, self.witness = History(), Witness(lambda: self.now)
        self.have(REVOKED)
        self.cells: dict[bytes, bytes] = {}
        self.quiet = Quiet(2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
        for name in NAMES.values():
            self.witness.booted(name, name.encode(), MemoryEngine())
        for at_s, name, chain in (
            *((ADDED_S, name, ADDED) for name in NAMES.values()),
            *((REVOKED_S, "n2", REVOKED), (HEARD_S, "n1", REVOKED)),
        ):
            self.learns(name, at_s, chain)
        for operation, at_s in ((ADDED.entries[1][0], ADDED_S), (REVOKED.entries[2][0], REVOKED_S)):
            self.history.key_changes.append(KeyChange(operation, at_s - 1, at_s + 0.5))

    def have(self, *chains: Chain) -> None:
        """In the end these are in the registers, and known to both."""
        self.registers = list(chains)
        self.known = {node: list(chains) for node in NAMES}

    def learns(self, name: str, at_s: float, chain: Chain) -> None:
        self.now = at_s
        row = seal(chain.account, chain.encode())
        change = Change(Table.ACCOUNTS, chain.account, row)
        self.witness.committed(name, name.encode(), [change], lambda key: True)

    def booted(self, name: str, at_s: float, *chains: Chain) -> None:
        """A process begins on a disk that has these."""
        self.now = at_s
        self.witness.booted(name, name.encode(), engine(name.encode(), [], chains))

    def notes(self, name: str, post: DevicePost) -> None:
        record = post.record
        at = (1).to_bytes(8, "big")
        row = [record.author, record.device, record.item, record.id, record.stamp, EPOCH_US]
        change = Change(Table.UNCONFIRMED, at, seal(at, codec.pack(row)))
        self.witness.committed(name, name.encode(), [change], lambda key: True)

    def answers(
        self, name: str, sent_s: float, answer: Answer, key: KeyPair = PHONE, wall_us: int = 0
    ) -> DevicePost:
        """A node's answer to a post, half a second later; its clock is off by so much."""
        record = post_by(key)
        walls = tuple(EPOCH_US + int(at_s * SECOND_US) + wall_us for at_s in (sent_s, sent_s + 0.5))
        post = DevicePost(record, name, answer, sent_s, sent_s + 0.5, (walls[0], walls[1]), True)
        self.history.device_posts.append(post)
        return post

    def labels(self, post: DevicePost) -> None:
        record = post.record
        label = Label(record.item, "revoked-key", SERVICE.account, record.id, "late")
        said = Record.sign(
            SERVICE, kind="label", item=label.item, body=label.body(), stamp=1, place=record.author
        )
        self.cells[said.key] = Cell.of(said).encode()

    def evidence(self) -> Evidence:
        held = (
            HeldCells(NAMES[node], node, engine(node, self.registers, chains), self.cells)
            for node, chains in self.known.items()
        )
        services = dict.fromkeys(NAMES.values(), SERVICE.account)
        made = evidence(*held, quiet=self.quiet)
        return replace(made, history=self.history, witness=self.witness, services=services)

    def verdict(self) -> Verdict:
        return keys.check(self.evidence())

    def complaint(self) -> str:
        """The one there is."""
        verdict = self.verdict()
        assert len(verdict.complaints) == 1, verdict.complaints
        return verdict.complaints[0]


def post_by(key: KeyPair) -> Record:
    return Record.sign(
        key, author=ANN.account, kind="post", item=ANN.item(), body={"text": "good morning"}, stamp=7
    )


def engine(node: bytes, registers: Sequence[Chain], known: Sequence[Chain]) -> MemoryEngine:
    """A store whose seat holds some registers, and which knows of some accounts."""
    made = MemoryEngine()
    seats = Configuration(1, [Seat(each, each) for each in NAMES])
    with made.begin(write=True) as transaction:
        record = encode_record(SeatRecord(node, 1, seats)) if node in NAMES else b""
        if record:
            transaction.put(Table.META, b"seat", seal(b"seat", record))
        for chain in registers:
            name, ballot = account_register(chain.account).encode(), Ballot(chain.number, NODE)
            state = encode_state(State(ballot, ballot, Value(1, chain.encode(), [bytes(16)])))
            transaction.put(Table.REGISTERS, name, seal(name, state))
        book = AccountBook(transaction, lambda room: None, lambda: 1)
        for chain in known:
            book.put(chain)
        transaction.commit()
    return made


def test_a_house_in_which_all_is_well() -> None:
    house = House()
    house.answers("n1", 15.0, Answer.KEPT)
    house.answers("n2", 25.0, Answer.REVOKED)
    house.answers("n1", 50.0, Answer.REVOKED)
    house.answers("n1", 50.0, Answer.KEPT, ANN.device)
    house.labels(house.answers("n1", 30.0, Answer.KEPT))
    verdict = house.verdict()
    assert verdict.ok, verdict.complaints
    assert verdict.facts == {"changes": 2, "late": 1, "early": 2}
    assert keys.known_everywhere(house.evidence().held)


def test_an_operation_that_was_acknowledged_and_is_not_in_its_register() -> None:
    house = House()
    house.have(ADDED)
    assert "is not in the account's register" in house.complaint()


@pytest.mark.parametrize("chains", [[], [ADDED], [REVOKED, chain_of(BEN, CREATED)]])
def test_a_node_that_does_not_have_what_the_registers_have(chains: list[Chain]) -> None:
    house = House()
    house.known[NODE] = chains
    assert "n1 has " in house.complaint()
    assert not keys.known_everywhere(house.evidence().held)


def test_the_time_at_which_an_operation_was_decided_is_part_of_what_is_compared() -> None:
    house = House()
    *before, last = REVOKED.entries
    house.known[NODE] = [Chain(ANN.account, [*before, last._replace(decided_us=last.decided_us + 1)])]
    assert "n1 has " in house.complaint()


@pytest.mark.parametrize(("known_s", "told"), [(None, "never"), (61.0, "after 61 s")])
def test_who_takes_too_long_to_know(known_s: float | None, told: str) -> None:
    house = House()
    house.quiet = Quiet(2.0, 2.0, 2.0, 2.0, known_s, 2.0)
    assert house.complaint().startswith(told)


def test_an_index_of_handles_that_does_not_fit() -> None:
    house = House()
    evidence = house.evidence()
    with evidence.held[0].engine.begin(write=True) as transaction:
        transaction.put(Table.HANDLES, b"handle/1" + ANN.account, b"")
        transaction.commit()
    verdict = keys.check(evidence)
    assert verdict.complaints == ("the index of handles of n1 is not what its chains come to",)


def test_two_accounts_whose_handles_look_alike_even_one_after_the_other() -> None:
    house = House()
    ann = chain_of(ANN, CREATED, (2.0, SetHandle("paula")), (3.0, SetHandle(None)))
    ben = chain_of(BEN, CREATED, (4.0, SetHandle("pau1a")))
    house.history.key_changes.clear()
    house.have(ann, ben)
    complaint = house.complaint()
    assert "'paula'" in complaint and "'pau1a'" in complaint
    house.have(ann)
    assert house.verdict().ok


def test_a_gate_that_takes_what_it_knows_to_be_revoked() -> None:
    house = House()
    house.labels(house.answers("n1", HEARD_S + 0.1, Answer.KEPT))
    assert "n1 took post" in house.complaint()


def test_a_gate_may_hear_of_it_between_question_and_answer() -> None:
    house = House()
    house.labels(house.answers("n1", HEARD_S - 0.1, Answer.KEPT))
    house.answers("n1", HEARD_S - 0.1, Answer.REVOKED)
    assert house.verdict().ok


def test_a_gate_that_refuses_a_key_that_it_knows_to_be_good() -> None:
    house = House()
    house.answers("n1", HEARD_S - 1.0, Answer.REVOKED)
    assert "n1 refused as revoked" in house.complaint()


def test_a_gate_goes_by_the_disk_that_it_was_booted_on() -> None:
    house = House()
    house.booted("n1", 50.0, ADDED)
    house.labels(house.answers("n1", 51.0, Answer.KEPT))
    assert house.verdict().ok
    house.booted("n1", 60.0)
    house.answers("n1", 61.0, Answer.REVOKED)
    assert house.verdict().ok
    house.answers("n1", 61.0, Answer.REVOKED, ANN.device)
    assert "n1 refused as revoked" in house.complaint()


def test_a_late_post_that_is_not_labelled() -> None:
    house = House()
    house.answers("n1", 30.0, Answer.KEPT)
    assert "is not labelled, and operation 3 had revoked its key" in house.complaint()
    made = house.evidence()
    services = made.services
    assert len(keys.unlabelled(house.history, house.witness.keys, made.held, made.ranges, services)) == 1


def test_a_label_on_another_version_is_none() -> None:
    house = House()
    post = house.answers("n1", 30.0, Answer.KEPT)
    house.labels(
        replace(
            post,
            record=Record.sign(
                PHONE,
                author=ANN.account,
                kind="post",
                item=post.record.item,
                body={"text": "edited"},
                stamp=8,
            ),
        )
    )
    assert "is not labelled" in house.complaint()


def test_a_post_that_was_sent_before_the_revocation_was_acknowledged_may_go_either_way() -> None:
    house = House()
    house.answers("n1", REVOKED_S + 0.2, Answer.KEPT)
    house.labels(house.answers("n1", REVOKED_S + 0.2, Answer.KEPT))
    assert house.verdict().facts["late"] == 0
    assert house.verdict().ok


def test_what_excuses_a_gate() -> None:
    slow, lost, forgot = House(), House(), House()
    slow.answers("n1", 30.0, Answer.KEPT, wall_us=-11 * SECOND_US)
    assert (slow.verdict().ok, slow.verdict().facts["by_its_clock"]) == (True, 1)
    lost.answers("n1", 30.0, Answer.KEPT)
    lost.now = 35.0
    lost.witness.forget("n1")
    assert (lost.verdict().ok, lost.verdict().facts["lost_its_disk"]) == (True, 1)
    post = forgot.answers("n1", 30.0, Answer.KEPT)
    forgot.booted("n1", 45.0, REVOKED)
    assert "is not labelled" in forgot.complaint(), "it had heard of the revocation before it was restarted"
    forgot.booted("n1", 35.0, ADDED)
    assert (forgot.verdict().ok, forgot.verdict().facts["forgot_at_boot"]) == (True, 1)
    forgot.notes("n1", post)
    assert "is not labelled" in forgot.complaint(), "the note was on its disk"


def test_a_post_that_was_not_late_is_not_labelled() -> None:
    house = House()
    house.labels(house.answers("n1", 15.0, Answer.KEPT))
    assert "before anybody asked to have its key revoked" in house.complaint()
    fast = House()
    fast.labels(fast.answers("n1", 15.0, Answer.KEPT, wall_us=11 * SECOND_US))
    assert fast.verdict().ok, "by its clock it was late"
    never = House()
    never.labels(never.answers("n1", 15.0, Answer.KEPT, ANN.device))
    assert "before anybody asked" in never.complaint()
