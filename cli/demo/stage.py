"""The demo from its first process to its last: cluster, load, faults, check, and the feed read back."""

from __future__ import annotations

import importlib.resources
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from folkmoot.cli.checking.checker import Checker, CheckResult, read_promises
from folkmoot.cli.checking.replicas import open_replicas
from folkmoot.cli.clients import journals_of, open_client
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster, NotRunning
from folkmoot.cli.cluster.layout import Shape
from folkmoot.cli.connection import Target, target_of
from folkmoot.cli.demo.reading import ShownPost, latest_authors, names_of, read_conversation
from folkmoot.cli.demo.scene import NodeScene, Scene
from folkmoot.cli.demo.story import Story
from folkmoot.cli.demo.watcher import Watcher
from folkmoot.cli.importing.authors import Authors
from folkmoot.cli.importing.importer import Importer, ImportPlan, ImportResult
from folkmoot.protocol.client import ClientSettings
from folkmoot.protocol.identity import SEED_BYTES

CONVERSATION: Final = importlib.resources.files("folkmoot.cli") / "demo" / "conversation.jsonl"
START_S: Final = 30.0
CHECK_S: Final = 45.0
PACED_RECORDS: Final = 5
PACED_PAUSE_S: Final = 0.15
FAST_RECORDS: Final = 64
OBSERVE_S: Final = 0.1

# Short attempts, so that the load goes on soon after a node has gone or a link has healed.
_LOADING: Final = ClientSettings(
    name="folkmoot-demo/1", carry_token=False, deadline_s=10.0, attempt_s=3.0, attempts=3
)


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What to show.

    Args:
        posts: a file of posts; None for the embedded conversation.
        shape: of the cluster, three regions at least.
        keep: whether the cluster runs on afterwards.
    """

    posts: Path | None
    shape: Shape
    keep: bool


@dataclass(slots=True)
class DemoResult:
    """How it went.

    Args:
        scene: all that was shown.
        load: what the import did.
        check: what the check found.
        conversation: the end of the conversation, as read back.
        reader: the node that told it.
        cluster: the cluster's description, for `--keep`.
    """

    scene: Scene
    load: ImportResult
    check: CheckResult
    conversation: Sequence[ShownPost]
    reader: str
    cluster: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the check passed and everything that was sent has been answered."""
        return self.check.passed and not self.load.tally.uncertain


@dataclass(slots=True)
class Stage:
    """One run of the demo.

    Args:
        plan: what to show.
        scene: is told everything.
    """

    plan: DemoPlan
    scene: Scene
    _authors: Authors = field(default_factory=lambda: Authors(secrets.token_bytes(SEED_BYTES)))

    async def run(self) -> DemoResult:
        """Play it. The cluster is gone afterwards, however this ends, unless it is to be kept.

        Raises:
            FolkmootError: something went wrong on the way.
        """
        async with self._cluster() as (cluster, described):
            self.scene.tell(f"{len(described['nodes'])} nodes in {self._regions(described)} know each other")
            watcher = Watcher(described)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watcher.run)
                nursery.start_soon(self._observe, watcher)
                result = await self._play(cluster, watcher, described)
                nursery.cancel_scope.cancel()
        return result

    async def _play(self, cluster: LocalCluster, watcher: Watcher, described: dict[str, Any]) -> DemoResult:
        story = Story(cluster, watcher, self.scene)
        first = target_of(described)
        load = await self._load(first, story, cluster)
        self.scene.tell(f"{load.tally.acknowledged:,} records acknowledged, all sent")
        self.scene.phase = "waiting until all replicas are equal"
        await story.wait_repaired()
        self.scene.phase = "checking"
        described = await trio.to_thread.run_sync(partial(cluster.ask, "status"))
        check = await self._check(target_of(described), cluster, load)
        self.scene.tell("every replica was read by itself and compared")
        self.scene.phase = "done" if check.passed else "failed"
        conversation = await self._read_back(described, story.victim, load)
        return DemoResult(self.scene, load, check, conversation, story.victim, described)

    @asynccontextmanager
    async def _cluster(self) -> AsyncIterator[tuple[LocalCluster, dict[str, Any]]]:
        """A running cluster of its own name; taken down and deleted at the end unless it is kept."""
        name, number = "demo", 1
        while LocalCluster.find(name).directory.path.exists():
            number += 1
            name = f"demo-{number}"
        cluster = LocalCluster.find(name)
        kept = False
        try:
            await trio.to_thread.run_sync(partial(life.create, cluster, name, self.plan.shape))
            for node in cluster.manifest.nodes:
                self.scene.nodes[node.name] = NodeScene(node.name, node.region, condition="starting")
            described = await trio.to_thread.run_sync(partial(life.up, cluster, START_S))
            for scene in self.scene.nodes.values():
                scene.condition = "running"
            yield cluster, described
            kept = self.plan.keep
        finally:
            if not kept:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(partial(_remove, cluster))

    async def _load(self, target: Target, story: Story, cluster: LocalCluster) -> ImportResult:
        """Take in the posts while the story is told."""
        self.scene.phase = "loading"
        async with open_client(target, cluster.directory.operator(), _LOADING) as client:
            with importlib.resources.as_file(CONVERSATION) as embedded:
                paced = self.plan.posts is None
                plan = ImportPlan(
                    source=self.plan.posts or embedded,
                    authors=self._authors,
                    state=journals_of(target, cluster.manifest.name),
                    cluster=cluster.manifest.name,
                    batch_records=PACED_RECORDS if paced else FAST_RECORDS,
                    pause_s=PACED_PAUSE_S if paced else 0.0,
                )
                importer = Importer(client, plan, self.scene.tally)
                loaded: list[ImportResult] = []

                async def load() -> None:
                    loaded.append(await importer.run())

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(story.run)
                    nursery.start_soon(load)
        return loaded[0]

    async def _check(self, target: Target, cluster: LocalCluster, load: ImportResult) -> CheckResult:
        async with open_replicas(target, cluster.directory.operator()) as replicas:
            promises = read_promises([load.journal], cluster.manifest.name)
            return await Checker(replicas, promises, CHECK_S).run()

    async def _read_back(
        self, described: dict[str, Any], reader: str, load: ImportResult
    ) -> Sequence[ShownPost]:
        """The end of the conversation, told by the node that had been killed."""
        names: dict[bytes, str] = {}
        if self.plan.posts is None:
            with importlib.resources.as_file(CONVERSATION) as embedded:
                names = names_of(embedded, self._authors)
        address = next(node["address"] for node in described["nodes"] if node["name"] == reader)
        ca = Path(described["ca"]) if described["ca"] else None
        async with open_client(Target((address,), ca)) as client:
            accounts = latest_authors(load.journal, described["name"])
            return await read_conversation(client, accounts, names)

    async def _observe(self, watcher: Watcher) -> None:
        """Keep the scene up to date with what the nodes say of each other: the worst is shown."""
        worst = ("dead", "suspect", "left", "alive")
        while True:
            for node in self.scene.nodes.values():
                views = watcher.views_of(node.name).values()
                node.seen = min(views, key=worst.index, default="")
            self.scene.sample()
            await trio.sleep(OBSERVE_S)

    @staticmethod
    def _regions(described: dict[str, Any]) -> str:
        regions = list(dict.fromkeys(node["region"] for node in described["nodes"]))
        return f"{', '.join(regions[:-1])} and {regions[-1]}"


def _remove(cluster: LocalCluster) -> None:
    """Stop everything and leave nothing behind."""
    if cluster.directory.exists:
        with suppress(NotRunning):
            cluster.down()
    if cluster.directory.path.exists():
        cluster.directory.delete()
