"""What a dismissed moderator decides where nobody has heard of it counts nowhere, once it is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.community import roles
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, NO_QUORUM, UNCERTAIN, WireError
from folkmoot.protocol.moderation.bounds import DECISION_BEHIND_MS
from folkmoot.protocol.moderation.decision import Action, Decision, Role, Subject
from folkmoot.protocol.record import Record

from tests.community.test_nodes import refused
from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.node.test_gate import POLICY
from tests.node.test_moderation import decide, decision, show
from tests.registers.seats import seated
from tests.waiting import until

MO = Author(2)
MINUTE_US = 60_000_000


def dated(about: Record, action: Action, ago_us: int = 0) -> Record:
    """A decision of MO's, with the clock set back by so much (microseconds)."""
    stamp = time.time_ns() // 1000 - ago_us
    one = Decision(
        *(Subject(about.kind, about.item), about.id, action, Role.MODERATOR, MO.account, stamp, "So.")
    )
    return Record.sign(
        MO.device, kind="decision", item=one.item, body=one.body(), stamp=stamp, place=about.place
    )


async def become(client: Client, author: Author, *wanted: str) -> None:
    """Wait until a node knows that somebody has these roles."""

    async def known() -> bool:
        return bool((await client.auth(author))["roles"] == list(wanted))

    await until(known, what=f"the node to know of {wanted}")


async def told(client: Client, post: Record, check: Callable[[dict[str, Any]], bool], what: str) -> None:
    async def so() -> bool:
        return check(await show(client, post))

    await until(so, what=what)


def home_of(town: Town, author: Author) -> tuple[Node, Node]:
    """The only node that keeps an account, and another one."""
    [home] = town.replicas_of(author.account)
    return home, next(node for node in town.nodes if node is not home)


async def dismiss(operator: Client) -> None:
    """Take MO's role, at a node that still takes those for alive that it is cut off from."""

    async def done() -> bool:
        try:
            await operator.call("role.revoke", account=MO.account, role="moderator", request=bytes(16))
        except WireError as error:
            assert error.kind in (NO_QUORUM, UNCERTAIN), error
            return False
        return True

    await until(done, what="the role to be taken", within_s=30)


async def meanwhile(there: Client, anybody: Client, posts: list[Record], held: Record) -> list[Record]:
    """Decide at a node that has not heard; what was decided."""
    made = [
        dated(posts[0], Action.REMOVE),
        dated(posts[1], Action.REMOVE, 4 * MINUTE_US),
        dated(held, Action.REJECT),
    ]
    for each in made:
        assert (await decide(there, each, "one"))["status"] == "stored"
    assert (await show(anybody, posts[0]))["visibility"] == "removed", "nobody has heard of it here"
    assert (await there.call("moderation.held", author=held.author))["items"] == []
    return made


async def refused_meanwhile(there: Client, post: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """What that node takes in from nobody."""
    long_ago = dated(post, Action.REMOVE, DECISION_BEHIND_MS * 1000 + MINUTE_US)
    error = await refused(BAD_REQUEST, there, "moderation.decide", record=long_ago.to_wire())
    assert "set your clock" in error.message
    with monkeypatch.context() as patched:
        patched.setattr(roles, "COMMUNITY_DECIDES_S", 0.0)
        late = dated(post, Action.REMOVE)
        error = await refused(NO_QUORUM, there, "moderation.decide", record=late.to_wire())
    assert error.retry_after_ms is not None and "has not heard" in error.message


async def passed_over(
    operator: Client, anybody: Client, posts: list[Record], held: Record, made: list[Record]
) -> None:
    """See that what was decided counts nowhere, and that this is said."""
    for client in (operator, anybody):
        for post, each in zip(posts, made[:2], strict=False):
            await told(
                *(client, post, lambda case, id=each.id: case["passed_over"] == [id]),
                "what was decided to be passed over",
            )
            assert (await show(client, post))["visibility"] == "shown"

    async def waits() -> bool:
        items = (await operator.call("moderation.held", level="all"))["items"]
        listed = [(each["record"], each["passed_over"]) for each in items]
        return listed == [(held.to_wire(), [made[2].id])]

    await until(waits, what="what was rejected to wait again")
    feed = await anybody.feed(held.author)
    assert {each["record"][0] for each in feed} >= {post.payload for post in posts}
    said = await operator.call("moderation.statements", since=0)
    assert sorted(said["passed_over"]) == sorted(each.id for each in made)


async def test_what_is_decided_where_nobody_has_heard_of_the_dismissal_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY.format(name="first", doubtful="rubbish"))
    gate = GateSection(policy=tmp_path / "policy.toml")
    async with founded(tmp_path / "town", nodes=3, replicas=1, gate=gate) as town:
        ann = Author(1)
        await seated(town, 3)  # or the only one may be cut off
        home, away = home_of(town, ann)
        async with town.client(home) as there, town.client(home) as anybody, town.client(away) as operator:
            await operator.auth(OPERATOR)
            await operator.call("role.grant", account=MO.account, role="moderator")
            await become(there, MO, "moderator")
            posts = [ann.post(f"number {number}") for number in range(3)]
            held = ann.post("rubbish")
            await operator.put(*posts, held, level="all")
            for node in town.nodes:
                if node is not home:
                    town.cut(home, node)
            await dismiss(operator)
            made = await meanwhile(there, anybody, posts, held)
            await refused_meanwhile(there, posts[2], monkeypatch)
            town.heal()
            await town.all_alive()
            await passed_over(operator, anybody, posts, held, made)

            await become(there, MO)
            again = dated(posts[0], Action.REMOVE)
            await refused(FORBIDDEN, there, "moderation.decide", record=again.to_wire())
            removed = decision(posts[1], Action.REMOVE, OPERATOR)
            assert (await decide(operator, removed))["status"] == "stored", "nothing stands against it"

            await operator.call("role.grant", account=MO.account, role="moderator")
            await become(there, MO, "moderator")
            assert (await show(anybody, posts[0]))["visibility"] == "shown", "from now on only"
            assert (await decide(there, dated(posts[0], Action.REMOVE)))["status"] == "stored"
            case = await show(anybody, posts[0])
            assert (case["visibility"], case["passed_over"]) == ("removed", [made[0].id])
