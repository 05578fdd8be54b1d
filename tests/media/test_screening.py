"""Media that are looked at before they are shown, on whole nodes and with real processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from folkmoot.cli.users.archived_media import MediaWriter
from folkmoot.node.configuration.screening_section import ScreenedList, ScreeningSection
from folkmoot.node.media import screening as screening_module
from folkmoot.node.moderation.media import outcome
from folkmoot.node.moderation.media.bounds import WAITING, WAITING_OF_ONE
from folkmoot.node.moderation.media.judged import Judged
from folkmoot.node.moderation.media.outcome import Judge
from folkmoot.protocol.errors import BUSY, NOT_FOUND, NOT_YET, REFUSED_BY_POLICY, ErrorKind, WireError
from folkmoot.protocol.media.chunks import MediaChunk
from folkmoot.storage.media.layout import Area, Name

from tests.media import pictures
from tests.media.keepers import blobs_of, kept, screening_of, sealing_of, status_of
from tests.media.test_kinds import ogg
from tests.media.uploading import finish, post_with, read, send, upload
from tests.moderation.drawings import bright, drawing, ours, saved
from tests.moderation.test_decoders import NO_FILM
from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

UNSEEN = pictures.of(b"nobody has this")
FINE, KNOWN, WORST = (saved(drawing(seed), "PNG") for seed in (1, 2, 3))


def lists(directory: Path, **more: Any) -> ScreeningSection:
    """Settings with an open list that has one picture in it and a sealed one that has another."""
    named = {"known": ours.pdq(bright(drawing(2)))[0], "worst": ours.pdq(bright(drawing(3)))[0]}
    for name, digest in named.items():
        (directory / name).write_text(f"{digest.hex()} {name}-kind\n")
    listed = [ScreenedList(name=name, file=directory / name, sealed=name == "worst") for name in named]
    return ScreeningSection(enabled=True, lists=tuple(listed), **more)


async def refused(node: Node, town: Town, author: Author, digest: bytes, kind: ErrorKind) -> WireError:
    """What anybody is told who reads it."""
    async with town.client(node) as client:
        with pytest.raises(WireError) as told:
            await read(client, author.account, digest)
    assert told.value.kind is kind
    return told.value


async def stat(client: Client, author: Author, digest: bytes) -> dict[str, Any]:
    told: dict[str, Any] = await client.call("media.stat", account=author.account, hash=digest)
    return told


async def noted(node: Node, author: Author, digest: bytes, status: str) -> None:
    name = Name(author.account, digest)
    await until(
        lambda: screening_of(node).known(name).status == status,
        what=f"the medium to be {status}",
        within_s=60,
    )


async def test_what_is_found_is_told_withheld_and_a_signal(tmp_path: Path) -> None:
    author = Author(1)
    async with founded(tmp_path, nodes=1, replicas=1, screening=lists(tmp_path)) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            fine, known = await upload(client, FINE), pictures.of(KNOWN)
            await send(client, KNOWN, known)
            told = await finish(client, known)
            assert told["screening"] == {
                **{"status": "matched", "list": "known", "category": "known-kind"},
                "distance": 0,
            }
            assert await read(client, author.account, fine.hash) == FINE
            assert (await stat(client, author, fine.hash))["screening"] == {"status": "clear"}
            error = await refused(town[0], town, author, known.hash, REFUSED_BY_POLICY)
            assert error.details == {"screening": told["screening"]} and "list known" in error.message
            assert await read(client, author.account, known.hash) == KNOWN, "it is their own"
            assert (await client.put_one(post_with(author, known)))["status"] == "stored"
            shown = [
                post_with(author, *some) for some in ((fine,), (known,), (fine, UNSEEN), (known, UNSEEN), ())
            ]
            for _ in range(2):  # read, and remembered
                signals = await screening_of(town[0]).signals.of(shown)
                clear, matched, unseen, either = (signals[each.id] for each in shown[:4])
                assert clear == {"media.pdq_match": False, "media.lists": [], "media.categories": []}
                assert matched == {
                    "media.pdq_match": True,
                    "media.lists": ["known"],
                    "media.categories": ["known-kind"],
                }
                assert unseen == {} and either == {"media.pdq_match": True}
                assert shown[4].id not in signals
            assert status_of(town[0], for_operator=False)["screening"] == {
                **{"clear": 1, "matched": 1, "explicit": 0, "unknown": 0},
                **{"waiting": 0, "outdated": False, "decoders": outcome.decoders()},
            }
        async with town.client(town[0]) as client:
            await client.auth(OPERATOR)
            assert await read(client, author.account, known.hash) == KNOWN, "who decides has to look"


async def test_what_a_sealed_list_knows_is_refused_and_sealed_where_it_came(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    author, worst = Author(2), pictures.of(WORST)
    async with founded(tmp_path, screening=lists(tmp_path)) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            for _ in range(2):
                await send(client, WORST, worst)
                with pytest.raises(WireError) as told:
                    await finish(client, worst)
                assert told.value.kind is REFUSED_BY_POLICY
                assert told.value.message == "this medium is not taken" and told.value.details is None
            await refused(town[0], town, author, worst.hash, NOT_FOUND)
        name = Name(author.account, worst.hash)
        for node in town.nodes:
            blobs = blobs_of(node)
            assert blobs.find(name) is None and blobs.notes.get(name) is None
            files = list((node.config.node.data / "media").rglob(f"{worst.hash.hex()}*"))
            assert bool(files) is (node is town[0]), "no other node ever has the bytes"
            assert all("sealed" in file.parts and file.stat().st_mode & 0o777 == 0o600 for file in files)
            assert (name in sealing_of(node).media) is (node is town[0])
        assert screening_of(town[0]).outcomes["sealed"] == 1, "it is known by its name the second time"
        assert any(worst.hash.hex() in each.message and "worst" in each.message for each in caplog.records)


async def test_what_a_sealed_list_comes_to_know_is_served_to_no_client_and_no_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, settings = Author(3), lists(tmp_path)
    (tmp_path / "worst").rename(tmp_path / "later")
    (tmp_path / "worst").write_text("# nothing yet\n")
    async with founded(tmp_path, nodes=2, replicas=1, screening=settings) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            manifest = await upload(client, WORST)
            keeper = next(node for node in town.nodes if kept(node, author, manifest.hash) is Area.KEPT)
            other = next(node for node in town.nodes if node is not keeper)
            assert await read(client, author.account, manifest.hash) == WORST
            (tmp_path / "later").replace(tmp_path / "worst")
            screening_of(keeper).reload(settings)
            await noted(keeper, author, manifest.hash, "sealed")
            blobs_of(other).drop(Area.CACHE, Name(author.account, manifest.hash))
        for node in town.nodes:
            await refused(node, town, author, manifest.hash, NOT_FOUND)
            async with town.client(node) as client:
                with pytest.raises(WireError) as told:
                    await stat(client, author, manifest.hash)
                assert told.value.kind is NOT_FOUND
        async with town.client(keeper) as client:
            await client.auth(author)
            error = (await client.put_one(post_with(author, manifest)))["error"]
            assert error["name"] == "refused_by_policy" and "worst" not in str(error)
        name = Name(author.account, manifest.hash)
        assert kept(other, author, manifest.hash) is None and kept(keeper, author, manifest.hash) is None
        assert name in sealing_of(keeper).media, "it lies aside"
        leaves_nothing = keeper.parts.movement.leaves_nothing
        assert leaves_nothing and not all(each() for each in leaves_nothing), (
            "a node does not leave with what nobody has handed over"
        )
        sweeper = keeper.parts.media.sweeper
        elsewhere = SimpleNamespace(id=1, epoch=1, nodes=lambda: [bytes(16)])
        monkeypatch.setattr(sweeper, "_topology", SimpleNamespace(where=lambda key: elsewhere))
        assert not await sweeper.hand_on(), "nobody is asked to keep it"
        assert name in sealing_of(keeper).media


async def test_a_list_that_is_broken_changes_nothing_and_a_new_one_looks_at_everything_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    author, settings = Author(4), lists(tmp_path)
    async with (
        founded(tmp_path, nodes=1, replicas=1, screening=settings) as town,
        town.client(town[0]) as client,
    ):
        await client.auth(author)
        fine, known = await upload(client, FINE), await upload(client, KNOWN)
        (tmp_path / "known").write_text("nonsense\n")
        screening_of(town[0]).reload(settings)
        await until(lambda: "known:1: no PDQ hash" in caplog.text, what="the list to be refused", within_s=60)
        async with town.client(town[0]) as anybody, town.client(town[0]) as operator:
            await operator.auth(OPERATOR)
            errors = [
                (await asking.call("cluster.status"))["node"]["media"]["screening"].get("errors")
                for asking in (anybody, operator)
            ]
        assert errors[0] is None and "known:1: no PDQ hash" in errors[1][0]
        assert screening_of(town[0]).status(for_operator=False)["outdated"]
        await refused(town[0], town, author, known.hash, REFUSED_BY_POLICY)
        (tmp_path / "known").write_text(ours.pdq(bright(drawing(1)))[0].hex())
        screening_of(town[0]).reload(settings)
        await noted(town[0], author, fine.hash, "matched")
        await noted(town[0], author, known.hash, "clear")
        assert not screening_of(town[0]).status(for_operator=False)["outdated"]
        assert await read(client, author.account, known.hash) == KNOWN
        open_again = msgspec.structs.replace(settings, withhold=("unchecked",))
        screening_of(town[0]).reload(open_again)
        assert await read(client, author.account, fine.hash) == FINE


async def test_what_cannot_be_judged_is_unknown_and_waits_for_a_person_or_not(tmp_path: Path) -> None:
    author, settings = Author(5), lists(tmp_path)
    odd = {pictures.png(5000): "unreadable", b"\0\0\0\x18ftypisom" + bytes(99): NO_FILM}
    async with (
        founded(tmp_path, nodes=1, replicas=1, screening=settings) as town,
        town.client(town[0]) as client,
    ):
        await client.auth(author)
        for (data, reason), mime in zip(odd.items(), ("image/png", "video/mp4"), strict=True):
            manifest = await upload(client, data, mime)
            told = {"status": "unknown", "reason": reason}
            error = await refused(town[0], town, author, manifest.hash, REFUSED_BY_POLICY)
            assert error.details == {"screening": told}
            shows = post_with(author, manifest)
            assert await screening_of(town[0]).signals.of([shows]) == {shows.id: {}}
            withheld = msgspec.structs.replace(settings, withhold=("unchecked", "matched"))
            screening_of(town[0]).reload(withheld)
            assert await read(client, author.account, manifest.hash) == data
            screening_of(town[0]).reload(settings)
        song = await upload(client, ogg(b"OpusHead"), "audio/ogg")
        assert (await stat(client, author, song.hash))["screening"] == {"status": "clear"}


async def test_what_another_node_let_in_is_looked_at_by_its_replicas(tmp_path: Path) -> None:
    author = Author(6)
    async with founded(tmp_path, screening=lists(tmp_path)) as town:
        screening_of(town[0])._judge = Judge((), None)  # it has no lists
        async with town.client(town[0]) as client:
            await client.auth(author)
            manifest = await upload(client, WORST, level="all")
            assert await read(client, author.account, manifest.hash) == WORST
        for node in town.nodes[1:]:
            await noted(node, author, manifest.hash, "sealed")
            await refused(node, town, author, manifest.hash, NOT_FOUND)


async def test_while_something_is_looked_at_it_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks, so that nothing is ever seen: clients come again, and readers show a placeholder."""
    author = Author(7)
    monkeypatch.setattr(screening_module, "ANSWER_S", 0.0)
    async with founded(tmp_path, nodes=1, replicas=1, screening=lists(tmp_path)) as town:
        monkeypatch.setattr(screening_of(town[0]), "_looked_at", never)
        async with town.client(town[0]) as client:
            await client.auth(author)
            manifest = pictures.of(FINE)
            await send(client, FINE, manifest)
            with pytest.raises(WireError) as told:
                await client.call("media.finish", hash=manifest.hash, level="one")
            assert told.value.kind is BUSY and "still being looked at" in told.value.message
            error = await refused(town[0], town, author, manifest.hash, NOT_YET)
            assert error.details == {"screening": {"status": "unchecked"}} and error.retry_after_ms
            for number in range(WAITING_OF_ONE + 1):  # one more than may wait
                screening_of(town[0]).hear(Name(author.account, bytes([number]) * 32))
            with pytest.raises(WireError) as told:
                await screening_of(town[0]).outcome(Name(author.account, b"\xff" * 32))
            assert told.value.kind is BUSY and "of this account" in told.value.message
            for number in range(WAITING + 1):
                screening_of(town[0]).hear(Name(Author(100 + number).account, bytes(32)))
            with pytest.raises(WireError) as told:
                await screening_of(town[0]).outcome(Name(Author(99).account, b"\xff" * 32))
            assert told.value.kind is BUSY and "too many media" in told.value.message


async def never(*of: object) -> Judged:
    await until(lambda: False, what="the end", within_s=600)
    return Judged()


async def test_an_archive_made_by_somebody_else_lacks_what_is_withheld() -> None:
    author, manifest = Author(9), pictures.of(KNOWN)

    class Withholding:
        async def call(self, method: str, params: dict[str, Any]) -> Any:
            if method == "media.stat":
                return manifest.to_wire()
            raise WireError(REFUSED_BY_POLICY, "the medium is withheld")

        async def session(self) -> None: ...

    written: list[MediaChunk] = []
    client: Any = Withholding()
    writer = MediaWriter(client, author.account, written.append, set())
    await writer.add([post_with(author, manifest)])
    assert writer.lacking == {manifest.hash} and not writer.have and not written


async def test_notes_go_with_their_media_and_torn_ones_are_made_again(tmp_path: Path) -> None:
    author = Author(8)
    async with (
        founded(tmp_path, nodes=1, replicas=1, screening=lists(tmp_path)) as town,
        town.client(town[0]) as client,
    ):
        await client.auth(author)
        manifest = await upload(client, KNOWN)
        blobs, name = blobs_of(town[0]), Name(author.account, manifest.hash)
        [file] = (tmp_path / "node-1" / "media" / "notes").rglob(manifest.hash.hex())
        for torn in (b"", file.read_bytes()[:-1], b"\0" + file.read_bytes()[1:]):
            file.write_bytes(torn)
            assert screening_of(town[0]).known(name).status == "unchecked"
            await refused(town[0], town, author, manifest.hash, REFUSED_BY_POLICY)
        assert blobs.drop(Area.KEPT, name)
        assert not file.exists() and not file.parent.exists()


def test_a_node_without_the_extra_sees_nothing_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lists(tmp_path, nsfw=0.8)
    there = outcome.read_judge(settings)
    assert there.outcome(Judged(quality=9)).reason == "no_model"
    assert there.outcome(Judged(nsfw=0.9)).status == "explicit"
    assert there.outcome(Judged(nsfw=0.7)).to_wire() == {"status": "clear", "nsfw": 0.7}
    monkeypatch.setattr(outcome, "_installed", lambda module: False)
    assert [each.split(":")[0] for each in outcome.missing_extras(settings)] == [
        "screening.enabled",
        "screening.nsfw",
    ]
    without = outcome.read_judge(settings)
    assert without.version != there.version
    assert without.outcome(Judged(unjudged="no_decoder")).to_wire() == {
        "status": "unknown",
        "reason": "no_decoder",
    }
    assert list(outcome.missing_extras(ScreeningSection(nsfw=0.5))) == [], "nothing is asked for"
