"""What a sealed list knows, on whole nodes: experts deal with it, and nobody else ever has the bytes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from folkmoot.node.moderation.media.outcome import Judge
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    REFUSED_BY_POLICY,
    UNAUTHENTICATED,
    ErrorKind,
    WireError,
)
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.storage.media.files import OsFile
from folkmoot.storage.media.layout import Area, Name

from tests.media import pictures
from tests.media.keepers import blobs_of, keeping_of, screening_of, sealing_of
from tests.media.test_blobs import full
from tests.media.test_screening import FINE, WORST, lists, noted, refused
from tests.media.uploading import finish, post_with, read, send, upload
from tests.moderation.drawings import bright, drawing, ours
from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.waiting import until

pytestmark = pytest.mark.timeout(180)

AUTHOR, EXPERT, MODERATOR = Author(31), Author(32), Author(33)
METHODS = ("list", "show", "open", "read", "hand_over", "erase")
WHY = "asked for by the police, ref. 7"


@asynccontextmanager
async def town_with_experts(directory: Path, **shape: Any) -> AsyncIterator[Town]:
    """A town that speaks TLS and looks at media, in which there are an expert and a moderator."""
    shape = {"nodes": 1, "replicas": 1, "tls": True} | shape
    if "screening" not in shape:
        shape["screening"] = lists(directory)
    async with founded(directory, **shape) as town:
        async with town.client(town[0]) as operator:
            await operator.auth(OPERATOR)
            await operator.call("role.grant", account=EXPERT.account, role="expert")
            await operator.call("role.grant", account=MODERATOR.account, role="moderator")
        await until(
            lambda: all("expert" in node.parts.community.roles.of(EXPERT.account) for node in town.nodes),
            what="all nodes to know the expert",
            within_s=20,
        )
        yield town


@asynccontextmanager
async def as_(town: Town, node: Node, who: Author) -> AsyncIterator[Client]:
    async with town.client(node) as client:
        await client.auth(who)
        yield client


async def sealed_at(town: Town, node: Node, data: bytes = WORST) -> Manifest:
    """An upload that a sealed list knows, refused at a node."""
    manifest = pictures.of(data)
    async with as_(town, node, AUTHOR) as client:
        await send(client, data, manifest)
        with pytest.raises(WireError) as told:
            await finish(client, manifest)
        assert told.value.kind is REFUSED_BY_POLICY
    return manifest


def named(manifest: Manifest, **more: Any) -> dict[str, Any]:
    return {"account": AUTHOR.account, "hash": manifest.hash, **more}


async def fails(kind: ErrorKind, client: Client, method: str, **params: Any) -> WireError:
    with pytest.raises(WireError) as told:
        await client.call(method, **params)
    assert told.value.kind is kind, told.value
    return told.value


async def fetched(client: Client, manifest: Manifest, reason: str = WHY) -> bytes:
    """All its bytes, as an expert gets them."""
    opened = await client.call("sealed.open", **named(manifest, reason=reason))
    data = b""
    for index, digest in enumerate(opened["chunks"]):
        asked = named(manifest, access=opened["access"], index=index)
        piece = (await client.call("sealed.read", **asked))["data"]
        assert len(piece) <= CHUNK_BYTES and len(digest) == 32
        data += piece
    assert isinstance(data, bytes)
    return data


def copies_of(node: Node, manifest: Manifest) -> list[Path]:
    """Files with its bytes below a node's data directory."""
    return list(node.config.node.data.rglob(manifest.hash.hex()))


async def test_an_expert_sees_fetches_hands_over_and_erases_what_was_sealed(tmp_path: Path) -> None:
    async with town_with_experts(tmp_path, nodes=3, replicas=3) as town:
        manifest = await sealed_at(town, town[0])
        async with as_(town, town[0], EXPERT) as expert:
            told = await expert.call("sealed.list")
            [item] = told["items"]
            assert (told["waiting"], told["experts"]) == (1, 1) and "next" not in told
            assert item["sealed_us"] > 0 and item["last_us"] == item["sealed_us"]
            assert {**item, "sealed_us": 0, "last_us": 0} == {
                **named(manifest),
                **{"state": "sealed", "sealed_us": 0, "last_us": 0, "opened": 0, "case": "", "damaged": 0},
                **{"list": "worst", "category": "worst-kind", "distance": 0},
                **{"entry": ours.pdq(bright(drawing(3)))[0], "size": len(WORST), "mime": "image/png"},
            }
            assert await fetched(expert, manifest) == WORST
            await fails(CONFLICT, expert, "sealed.erase", **named(manifest, reason=WHY))
            handed = await expert.call("sealed.hand_over", **named(manifest, case=" NCMEC 1 ", reason="law"))
            assert (handed["state"], handed["case"]) == ("handed_over", "NCMEC 1")
            assert (await expert.call("sealed.list", waiting=True))["items"] == []
            assert await fetched(expert, manifest, "once more") == WORST
            assert len(copies_of(town[0], manifest)) == 1
            gone = await expert.call("sealed.erase", **named(manifest, reason="a year is over"))
            assert gone["state"] == "erased" and copies_of(town[0], manifest) == []
            await fails(CONFLICT, expert, "sealed.erase", **named(manifest, reason="again"))
            await fails(NOT_FOUND, expert, "sealed.open", **named(manifest, reason="again"))
            shown = await expert.call("sealed.show", **named(manifest))
            by = {each["what"]: each for each in shown["entries"]}
            assert [each["what"] for each in shown["entries"]] == [
                *("sealed", "opened", "handed_over", "opened", "erased"),
            ]
            assert "by" not in by["sealed"] and by["erased"]["reason"] == "a year is over"
            assert all(each["by"] == EXPERT.account for each in shown["entries"][1:])
            assert all(each["key"] == EXPERT.device.account for each in shown["entries"][1:])
        for node in town.nodes[1:]:
            assert copies_of(node, manifest) == [], "no other node ever had it"
            async with as_(town, node, EXPERT) as expert:
                assert (await expert.call("sealed.list"))["items"] == []
                await fails(NOT_FOUND, expert, "sealed.open", **named(manifest, reason=WHY))


async def test_nobody_else_has_a_part_in_it_and_operators_see_who_looked(tmp_path: Path) -> None:
    async with town_with_experts(tmp_path) as town:
        node, manifest = town[0], await sealed_at(town, town[0])
        wishes: dict[str, dict[str, Any]] = {
            "list": {},
            "show": named(manifest),
            "open": named(manifest, reason=WHY),
            "read": named(manifest, access=bytes(16)),
            "hand_over": named(manifest, case="A", reason=WHY),
            "erase": named(manifest, reason=WHY),
        }
        assert tuple(wishes) == METHODS
        async with as_(town, node, EXPERT) as expert:
            access = (await expert.call("sealed.open", **wishes["open"]))["access"]
        wishes["read"]["access"] = access
        async with town.client(node) as anybody:
            for method, params in wishes.items():
                await fails(UNAUTHENTICATED, anybody, f"sealed.{method}", **params)
            assert "sealed" not in (await anybody.call("cluster.status"))["node"]["media"]
        for who in (AUTHOR, MODERATOR, OPERATOR):
            async with as_(town, node, who) as client:
                for method, params in wishes.items():
                    if who is not OPERATOR or method not in ("list", "show"):
                        await fails(FORBIDDEN, client, f"sealed.{method}", **params)
                with pytest.raises(WireError) as told:
                    await read(client, AUTHOR.account, manifest.hash)
                assert told.value.kind is NOT_FOUND
        async with as_(town, node, OPERATOR) as operator:
            assert [each["opened"] for each in (await operator.call("sealed.list"))["items"]] == [1]
            entries = (await operator.call("sealed.show", **named(manifest)))["entries"]
            assert [(each["what"], each.get("by")) for each in entries] == [
                ("sealed", None),
                ("opened", EXPERT.account),
            ]
            status = (await operator.call("cluster.status"))["node"]["media"]["sealed"]
            assert (status["sealed"], status["experts"]) == (1, 1)
            figures = (await operator.call("cluster.metrics"))["text"]
            assert "folkmoot_sealed_waiting 1.0" in figures
            assert 'folkmoot_sealed_media{state="sealed"} 1.0' in figures
        async with as_(town, node, Author(34)) as other, as_(town, node, OPERATOR) as operator:
            await operator.call("role.grant", account=Author(34).account, role="expert")
            await other.auth(Author(34))
            await fails(FORBIDDEN, other, "sealed.read", **wishes["read"])
            await operator.call("role.revoke", account=EXPERT.account, role="expert")
            async with as_(town, node, EXPERT) as expert:
                await fails(FORBIDDEN, expert, "sealed.read", **wishes["read"])


NONSENSE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("list", {"limit": 0}),
    ("list", {"limit": bounds.SEALED_PAGE + 1}),
    ("list", {"after": [bytes(34)]}),
    ("list", {"after": [bytes(3), bytes(32)]}),
    ("list", {"waiting": "yes"}),
    ("show", {"hash": bytes(31)}),
    ("show", {"account": bytes(34)}),
    ("show", {"first": -1}),
    ("show", {"first": 2**63}),
    ("open", {"reason": ""}),
    ("open", {"reason": " \n"}),
    ("open", {"reason": "x" * (bounds.SEALED_REASON_CODE_POINTS + 1)}),
    ("open", {"reason": b"bytes"}),
    ("open", {"account": bytes(34)}),
    ("read", {"access": b""}),
    ("read", {"access": bytes(16), "index": -1}),
    ("read", {"access": bytes(16), "index": 10**6}),
    ("hand_over", {"case": "", "reason": WHY}),
    ("hand_over", {"case": "A", "reason": " "}),
    ("hand_over", {"case": "x" * (bounds.SEALED_CASE_CODE_POINTS + 1), "reason": WHY}),
    ("erase", {}),
)


async def test_what_makes_no_sense_is_refused_and_not_written_down(tmp_path: Path) -> None:
    async with town_with_experts(tmp_path) as town:
        manifest = await sealed_at(town, town[0])
        async with as_(town, town[0], EXPERT) as expert:
            for method, params in NONSENSE:
                asked = {**({} if method == "list" else named(manifest)), **params}
                await fails(BAD_REQUEST, expert, f"sealed.{method}", **asked)
            for method, more in (("show", {}), ("open", {"reason": WHY}), ("erase", {"reason": WHY})):
                nobody = {"account": EXPERT.account, "hash": manifest.hash}
                await fails(NOT_FOUND, expert, f"sealed.{method}", **nobody, **more)
            opened = await expert.call("sealed.open", **named(manifest, reason=WHY))
            asked = named(manifest, access=opened["access"])
            await fails(BAD_REQUEST, expert, "sealed.read", **asked, index=len(opened["chunks"]))
            await fails(FORBIDDEN, expert, "sealed.read", **{**asked, "hash": bytes(32)})
            assert len((await expert.call("sealed.show", **named(manifest)))["entries"]) == 2


async def test_persisted_then_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written down is not done, and the bytes that come later were opened by a line."""
    async with town_with_experts(tmp_path) as town:
        node, manifest = town[0], await sealed_at(town, town[0])
        [record] = node.config.node.data.rglob("*.custody")
        synced: list[bytes] = []
        real = OsFile.sync

        def sync(self: OsFile) -> None:
            real(self)
            synced.append(record.read_bytes())

        async with as_(town, node, EXPERT) as expert:
            with monkeypatch.context() as patch:
                patch.setattr(OsFile, "sync", full)
                with pytest.raises(WireError):
                    await expert.call("sealed.open", **named(manifest, reason="no room"))
            await fails(FORBIDDEN, expert, "sealed.read", **named(manifest, access=bytes(16)))
            monkeypatch.setattr(OsFile, "sync", sync)
            opened = await expert.call("sealed.open", **named(manifest, reason="to report it"))
            assert b"to report it" in synced[-1], "it was on the disk before the answer"
            access = opened["access"]
        await town.restart(node)
        async with as_(town, node, EXPERT) as expert:
            await fails(FORBIDDEN, expert, "sealed.read", **named(manifest, access=access))
            entries = (await expert.call("sealed.show", **named(manifest)))["entries"]
            assert entries[-1]["reason"] == "to report it", "it outlives the node"
            assert await fetched(expert, manifest) == WORST


async def test_bytes_go_over_tls_alone(tmp_path: Path) -> None:
    async with town_with_experts(tmp_path, tls=False) as town:
        manifest = await sealed_at(town, town[0])
        async with as_(town, town[0], EXPERT) as expert:
            error = await fails(FORBIDDEN, expert, "sealed.open", **named(manifest, reason=WHY))
            assert "TLS" in error.message
            assert len((await expert.call("sealed.show", **named(manifest)))["entries"]) == 1


async def test_one_medium_may_be_opened_so_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot.protocol.media.custody._MOST", {"opened": 3})
    async with town_with_experts(tmp_path) as town:
        manifest = await sealed_at(town, town[0])
        async with as_(town, town[0], EXPERT) as expert:
            asked = [
                (await expert.call("sealed.open", **named(manifest, reason=str(number))))["access"]
                for number in range(3)
            ]
            assert len(set(asked)) == 3
            await fails(CONFLICT, expert, "sealed.open", **named(manifest, reason="a fourth time"))
            assert (await expert.call("sealed.read", **named(manifest, access=asked[0])))["data"]
            handed = await expert.call("sealed.hand_over", **named(manifest, case="A", reason=WHY))
            assert handed["state"] == "handed_over"


async def test_pages_go_on_where_they_ended(tmp_path: Path) -> None:
    async with town_with_experts(tmp_path) as town:
        data = [WORST + bytes([number]) for number in range(3)]
        manifests = [await sealed_at(town, town[0], each) for each in data]
        async with as_(town, town[0], EXPERT) as expert:
            found, after = [], None
            for _ in range(3):
                told = await expert.call("sealed.list", limit=1, after=after)
                found += [each["hash"] for each in told["items"]]
                after = told.get("next")
            assert found == sorted(each.hash for each in manifests) and after is None
            for number in range(bounds.SEALED_PAGE):
                await expert.call("sealed.open", **named(manifests[0], reason=f"no. {number}"))
            first = await expert.call("sealed.show", **named(manifests[0]))
            assert len(first["entries"]) == first["next"] == bounds.SEALED_PAGE
            rest = await expert.call("sealed.show", **named(manifests[0], first=first["next"]))
            assert [each["reason"] for each in rest["entries"]] == ["no. 63"] and "next" not in rest


async def test_what_was_shown_stays_sealed_when_its_post_and_its_account_are_gone(tmp_path: Path) -> None:
    settings = lists(tmp_path)
    (tmp_path / "worst").rename(tmp_path / "later")
    (tmp_path / "worst").write_text("# nothing yet\n")
    async with town_with_experts(tmp_path, screening=settings) as town:
        node, media = town[0], town[0].parts.media
        async with as_(town, node, AUTHOR) as client:
            manifest = await upload(client, WORST)
            post = post_with(AUTHOR, manifest)
            assert (await client.put_one(post))["status"] == "stored"
            (tmp_path / "later").replace(tmp_path / "worst")
            screening_of(node).reload(settings)
            await noted(node, AUTHOR, manifest.hash, "sealed")
            assert (await client.put_one(AUTHOR.deletion(post)))["status"] == "stored"
            [gone] = (await client.call("media.purge", account=AUTHOR.account))["nodes"]
            assert (gone["erased"], gone["left"]) == (0, 0), "nothing is told of what is sealed"
            assert (await client.call("media.list"))["items"] == []
            assert keeping_of(node).files_of(AUTHOR.account) == 0
        await media.sweeper.sweep()
        async with as_(town, node, EXPERT) as expert:
            assert await fetched(expert, manifest) == WORST


async def test_what_is_sealed_stays_so_when_nobody_looks_at_media_any_more(tmp_path: Path) -> None:
    async with town_with_experts(tmp_path) as town:
        node, manifest = town[0], await sealed_at(town, town[0])
        off = msgspec.structs.replace(node.config.screening, enabled=False)
        node.config = msgspec.structs.replace(node.config, screening=off)
        await town.restart(node)
        assert node.parts.media.screening is None
        await sealed_at(town, node)  # which is refused as before
        assert len(copies_of(node, manifest)) == 1
        await refused(node, town, AUTHOR, manifest.hash, NOT_FOUND)
        async with as_(town, node, AUTHOR) as client:
            fine = await upload(client, FINE)
            answer = await client.put_one(post_with(AUTHOR, manifest))
            assert answer["error"]["name"] == "refused_by_policy"
            assert await read(client, AUTHOR.account, fine.hash) == FINE
        async with as_(town, node, EXPERT) as expert:
            assert await fetched(expert, manifest) == WORST


async def test_a_node_that_sealed_it_fetches_it_from_nobody_again(tmp_path: Path) -> None:
    """Another replica, which has no such list, keeps it and would give it."""
    async with town_with_experts(tmp_path, nodes=2, replicas=2) as town:
        blind, seeing = town.nodes
        screening_of(blind)._judge = Judge((), None)
        async with as_(town, blind, AUTHOR) as client:
            manifest = await upload(client, WORST, level="all")
            name = Name(AUTHOR.account, manifest.hash)
            await noted(seeing, AUTHOR, manifest.hash, "sealed")
            await client.put_one(post_with(AUTHOR, manifest), level="one")
        follower, blobs = seeing.parts.media.follower, blobs_of(seeing)
        assert not follower._lacks(name)
        await refused(seeing, town, AUTHOR, manifest.hash, NOT_FOUND)
        await keeping_of(seeing).keep(name, None, blind.id)
        assert blobs.find(name) is None and sealing_of(seeing).waiting == 1
        assert blobs.used(Area.SEALED) > 0 == blobs.used(Area.KEPT)


async def test_a_disk_that_cannot_seal_serves_nobody_and_seals_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lists(tmp_path)
    (tmp_path / "worst").rename(tmp_path / "later")
    (tmp_path / "worst").write_text("# nothing yet\n")
    async with town_with_experts(tmp_path, screening=settings) as town:
        node = town[0]
        async with as_(town, node, AUTHOR) as client:
            manifest = await upload(client, WORST)
        shutil.copy(tmp_path / "later", tmp_path / "worst")
        with monkeypatch.context() as patch:
            patch.setattr(sealing_of(node).media, "_append", full)
            screening_of(node).reload(settings)
            await noted(node, AUTHOR, manifest.hash, "sealed")
            assert sealing_of(node).waiting == 0
            await refused(node, town, AUTHOR, manifest.hash, NOT_FOUND)
        screening_of(node).reload(settings)
        await until(lambda: sealing_of(node).waiting == 1, what="it to be sealed", within_s=30)
