"""Media about which somebody has decided: shown though a list knows them, or withheld though none does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.moderation import media_cases
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    NOT_FOUND,
    REFUSED_BY_POLICY,
    UNAUTHENTICATED,
    ErrorKind,
    WireError,
)
from folkmoot.protocol.moderation.decision import MEDIA, Action, Decision, Role, Subject
from folkmoot.protocol.record import Record
from folkmoot.storage.media.layout import Area

from tests.media import pictures
from tests.media.keepers import kept, screening_of
from tests.media.test_screening import FINE, KNOWN, lists, noted, refused, stat
from tests.media.uploading import post_with, read, upload
from tests.moderation.drawings import bright, drawing, ours
from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)


def decision(author: Author, digest: bytes, action: Action, by: Author = OPERATOR) -> Record:
    stamp = by.post().stamp  # whose number it is
    subject = Subject(MEDIA, digest)
    one = Decision(subject, digest, action, Role.OPERATOR, by.account, stamp, "Looked at it.")
    return Record.sign(
        by.device, kind="decision", item=one.item, body=one.body(), stamp=stamp, place=author.account
    )


async def decide(client: Client, author: Author, digest: bytes, action: Action) -> dict[str, Any]:
    record = decision(author, digest, action)
    told: dict[str, Any] = await client.call("moderation.decide", record=record.to_wire(), level="all")
    return told


async def not_decided(
    client: Client, author: Author, digest: bytes, kind: ErrorKind, action: Action = Action.RELEASE
) -> None:
    with pytest.raises(WireError) as told:
        await decide(client, author, digest, action)
    assert told.value.kind is kind


async def served(node: Node, town: Town, author: Author, digest: bytes, data: bytes) -> None:
    """Wait until anybody is served it."""

    async def given() -> bool:
        async with town.client(node) as client:
            try:
                return await read(client, author.account, digest) == data
            except WireError as error:
                assert error.kind is REFUSED_BY_POLICY
                return False

    await until(given, what="what was released to be served", within_s=20)


async def withheld(node: Node, town: Town, author: Author, digest: bytes) -> None:
    async def kept_back() -> bool:
        async with town.client(node) as client:
            try:
                await read(client, author.account, digest)
            except WireError as error:
                assert error.kind is REFUSED_BY_POLICY and error.details == {"decided": "reject"}
                return True
            return False

    await until(kept_back, what="what was rejected to be withheld", within_s=20)


async def test_people_decide_about_media_and_all_nodes_do_as_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = Author(21)
    monkeypatch.setattr(media_cases, "MEDIA_DECIDED_S", 0.05)
    async with (
        founded(tmp_path, nodes=2, replicas=1, screening=lists(tmp_path)) as town,
        town.client(town[0]) as client,
        town.client(town[1]) as operator,
    ):
        await client.auth(author)
        fine, known = await upload(client, FINE), await upload(client, KNOWN)
        await client.put_one(post_with(author, fine, known), "all")
        for node in town.nodes:
            await refused(node, town, author, known.hash, REFUSED_BY_POLICY)
        await not_decided(operator, author, known.hash, UNAUTHENTICATED)
        await operator.auth(OPERATOR)
        about = {"author": author.account, "kind": "media", "item": known.hash}
        told = await operator.call("moderation.show", **about)
        assert (told["visibility"], told["decisions"]) == ("shown", []) and told["shown"] == known.hash

        assert (await decide(operator, author, known.hash, Action.RELEASE))["status"] == "stored"
        for node in town.nodes:
            await served(node, town, author, known.hash, KNOWN)
        assert (await stat(client, author, known.hash))["decided"] == "release"
        [frame] = (await client.call("moderation.show", **about))["decisions"]
        assert Record.from_wire(frame).author == OPERATOR.account, "which is the trail of it"

        for data, digest in ((KNOWN, known.hash), (FINE, fine.hash)):
            await decide(operator, author, digest, Action.REJECT)
            for node in town.nodes:
                await withheld(node, town, author, digest)
            assert await read(client, author.account, digest) == data, "it is their own"
            assert await read(operator, author.account, digest) == data, "who decides has to look"
        await decide(operator, author, fine.hash, Action.RELEASE)
        await served(town[0], town, author, fine.hash, FINE)

        await not_decided(operator, author, pictures.of(b"none").hash, NOT_FOUND)
        for action in (Action.REMOVE, Action.LIMIT, Action.RESTORE):
            await not_decided(operator, author, fine.hash, BAD_REQUEST, action)
        with pytest.raises(WireError):
            await operator.call("moderation.show", **{**about, "item": b"short"})

        await what_is_sealed_is_released_by_nobody(tmp_path, town, author, fine.hash)


async def what_is_sealed_is_released_by_nobody(
    directory: Path, town: Town, author: Author, digest: bytes
) -> None:
    """Not even what was released before a sealed list came to know it."""
    keeper = next(node for node in town.nodes if kept(node, author, digest) is Area.KEPT)
    (directory / "worst").write_text(f"{ours.pdq(bright(drawing(1)))[0].hex()} worst-kind\n")
    screening_of(keeper).reload(keeper.config.screening)
    await noted(keeper, author, digest, "sealed")
    await refused(keeper, town, author, digest, NOT_FOUND)
    async with town.client(keeper) as there:
        asked = {"author": author.account, "kind": "media", "item": digest}
        assert (await there.call("moderation.show", **asked))["shown"] is None, "nobody else's business"
        await there.auth(OPERATOR)
        assert (await there.call("moderation.show", **asked))["visibility"] == "removed"
        await not_decided(there, author, digest, FORBIDDEN)
