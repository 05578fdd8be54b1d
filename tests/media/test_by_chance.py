"""Whatever happens in whatever order: what a standing post shows is kept, and nothing else is in the end."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import trio
from folkmoot.node.media.keeping import Keeping
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.protocol.record import Record
from folkmoot.storage.media.layout import Area

from tests.media import pictures
from tests.media.keepers import kept
from tests.media.test_nodes import impatient, swept
from tests.media.uploading import post_with, read, upload
from tests.node.harness import Client, Town, founded
from tests.node.people import Author
from tests.waiting import until

pytestmark = pytest.mark.timeout(240)

STEPS = 40
WRITING = ("post", "post", "again", "edit", "delete", "delete")
OPERATIONS = (*WRITING, "sweep", "sweep", "stop", "start", "restart")


class Story:
    """What one account did, and what was acknowledged of it.

    Attributes:
        shown: the posts that stand, by item, with what each shows.
        ever: everything that was uploaded.
    """

    def __init__(self, town: Town, seed: int) -> None:
        self.town = town
        self.random = Random(seed)
        self.author = Author(seed + 1)
        self.shown: dict[bytes, Manifest] = {}
        self.ever: dict[bytes, bytes] = {}

    async def step(self) -> None:
        """One thing more, if it can be done."""
        operation = self.random.choice(OPERATIONS)
        running = self.town.running()
        match operation:
            case "stop" if len(running) == 3:
                await self.random.choice(running).stop()
            case "start":
                await self.all_started()
            case "restart" if len(running) == 3:
                await self.town.restart(self.random.choice(running))
            case "sweep":
                await self.random.choice(running).parts.media.sweeper.sweep()
            case "post" | "again" | "edit" | "delete":
                async with self.town.client(self.random.choice(running)) as client:
                    await client.auth(self.author)
                    await self.speak(client, operation)

    async def speak(self, client: Client, operation: str) -> None:
        """Write something; what is not acknowledged is not counted on."""
        items = sorted(self.shown)
        item = self.random.choice(items) if items else None
        if operation == "delete" and item is not None:
            deletion = self.author.record("post", item, {"deleted": True})
            if (await client.put_one(deletion))["status"] == "stored":
                del self.shown[item]
        elif operation == "again" and item is not None:
            await self.say(client, post_with(self.author, self.shown[item]), self.shown[item])
        elif operation in ("post", "edit"):
            data = pictures.png(3000, seed=len(self.ever))
            try:
                manifest = await upload(client, data)
            except WireError as error:
                assert error.kind.retryable, error
                return
            self.ever[manifest.hash] = data
            post = post_with(self.author, manifest)
            if operation == "edit" and item is not None:
                post = self.author.record("post", item, post.body)
            await self.say(client, post, manifest)

    async def say(self, client: Client, post: Record, shown: Manifest) -> None:
        """Put a post; if what it shows was given up meanwhile, it is refused and nothing has happened."""
        result = await client.put_one(post)
        if result["status"] == "stored":
            self.shown[post.item] = shown
        elif result["status"] == "refused":
            assert result["error"]["name"] in ("media_missing", "busy"), result
        else:  # it may stand or not: have it not
            self.shown.pop(post.item, None)
            await client.put_one(self.author.record("post", post.item, {"deleted": True}))

    async def all_started(self) -> None:
        stopped = [node for node in self.town.nodes if not node.started]
        if stopped:
            await self.town.start(*stopped)

    async def ends_well(self, within_s: float = 90) -> None:
        """All that stands is kept by all replicas and can be read; the rest is given up."""
        wanted = {manifest.hash for manifest in self.shown.values()}

        async def in_order() -> bool:
            for node in self.town.nodes:
                await node.parts.media.sweeper.sweep()
            found = [
                {each for each in self.ever if kept(node, self.author, each) is Area.KEPT}
                for node in self.town.nodes
            ]
            return all(each == wanted for each in found)

        await until(in_order, what="replicas to keep what stands, and only that", within_s=within_s)
        async with self.town.client(self.random.choice(self.town.nodes)) as client:
            for digest in wanted:
                assert await read(client, self.author.account, digest) == self.ever[digest]


async def test_sweeps_that_forget_posts_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keeping, "refers", lambda self, account, hashes: [])
    async with founded(tmp_path, media=impatient()) as town:
        story = Story(town, 1)
        while not story.shown:
            await story.step()
        await story.all_started()
        for _ in range(2):
            await swept(town)
        with pytest.raises(AssertionError, match="replicas to keep what stands"):
            await story.ends_well(within_s=2)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_what_stands_is_kept_whatever_happens(tmp_path: Path, seed: int) -> None:
    async with founded(tmp_path, media=impatient()) as town:
        story = Story(town, seed)
        for _ in range(STEPS):
            with trio.fail_after(60):
                await story.step()
        await story.all_started()
        assert story.ever, "something was uploaded"
        await story.ends_well()
