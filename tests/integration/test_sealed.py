"""Sealed media in real processes: who opened one is on the disk before its bytes leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.cluster.layout import ClusterDirectory
from folkmoot.protocol.errors import REFUSED_BY_POLICY, WireError
from folkmoot.protocol.media.custody import Custody

from tests.integration.processes import Process, client, lay_out, node
from tests.media import pictures
from tests.media.test_screening import WORST
from tests.media.uploading import finish, send
from tests.moderation.drawings import bright, drawing, ours
from tests.node.harness import Client
from tests.node.people import Author
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

AUTHOR, EXPERT = Author(41), Author(42)
MANIFEST = pictures.of(WORST)
NAMED: dict[str, Any] = {"account": AUTHOR.account, "hash": MANIFEST.hash}


class Town:
    """A cluster of one node, which may be killed and started again.

    Args:
        path: an empty directory.
    """

    def __init__(self, path: Path) -> None:
        listed = path / "list"
        listed.write_text(f"{ours.pdq(bright(drawing(3)))[0].hex()} worst-kind\n")
        lists = [{"name": "worst", "file": str(listed), "sealed": True}]
        self.town: ClusterDirectory = lay_out(
            path / "town", tls=True, screening__enabled=True, screening__lists=lists
        )
        [entry] = self.town.manifest().nodes
        self.config, self.data = self.town.config_file(entry.name), self.town.data(entry.name).path

    @asynccontextmanager
    async def asking(self, process: Process, who: Author) -> AsyncIterator[Client]:
        async with client(process.address, Path(str(self.town.manifest().ca))) as asking:
            await asking.auth(who)
            yield asking

    def record(self) -> Custody:
        """What stands in the one custody record, as the disk has it."""
        [file] = self.data.rglob("*.custody")
        return Custody.decode(file.read_bytes())


async def sealed(town: Town, process: Process) -> None:
    """Have a medium refused and sealed, and an expert who may deal with it."""
    async with town.asking(process, AUTHOR) as asking:

        async def is_refused() -> bool:
            try:
                await send(asking, WORST, MANIFEST)
                await finish(asking, MANIFEST)
            except WireError as error:
                return error.kind is REFUSED_BY_POLICY
            return False

        await until(is_refused, what="the upload to be refused", within_s=60)
    operator = town.town.operator()
    async with town.asking(process, EXPERT) as asking:
        await asking.session.authenticate(operator, operator.account)
        await asking.call("role.grant", account=EXPERT.account, role="expert")


async def test_who_opened_it_is_known_after_a_kill_and_so_is_what_was_handed_over(tmp_path: Path) -> None:
    town = Town(tmp_path)
    with node(town.config) as process:
        await sealed(town, process)
        async with town.asking(process, EXPERT) as expert:
            opened = await expert.call("sealed.open", **NAMED, reason="before the kill")
            process.kill()
        assert [each.reason for each in town.record().entries] == ["", "before the kill"]
    with node(town.config) as process:
        async with town.asking(process, EXPERT) as expert:
            with pytest.raises(WireError):
                await expert.call("sealed.read", **NAMED, access=opened["access"])
            again = await expert.call("sealed.open", **NAMED, reason="after it")
            data = (await expert.call("sealed.read", **NAMED, access=again["access"]))["data"]
            assert data == WORST
            await expert.call("sealed.hand_over", **NAMED, case="A-7", reason="as the law says")
            process.kill()
    with node(town.config) as process:
        async with town.asking(process, EXPERT) as expert:
            [item] = (await expert.call("sealed.list"))["items"]
            assert (item["state"], item["case"], item["opened"]) == ("handed_over", "A-7", 2)
            await expert.call("sealed.erase", **NAMED, reason="the case is closed")
            process.kill()
    assert not list(town.data.rglob(MANIFEST.hash.hex())), "its bytes are gone"
    assert [each.what for each in town.record().entries] == [
        *("sealed", "opened", "opened", "handed_over", "erased"),
    ]
    assert "before the kill" not in process.log and MANIFEST.hash.hex() in process.log
