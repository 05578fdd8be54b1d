"""Exports that break off and are gone on with, and archives as files: whole, damaged, never overwritten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.numbers import counted
from folkmoot.cli.users.archive_files import NAMES, Damaged, check, count
from folkmoot.cli.users.exporting import export, part_of
from folkmoot.protocol.client import Client, History
from folkmoot.protocol.errors import (
    BUSY,
    WireError,
)
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.record import Record

from tests.cli.travel import (
    ADA,
    LIFE,
    LOST,
    NEW,
    OPERATOR,
    RECORDS,
    archive,
    chain,
    post,
)

LIKE = Record.sign(
    ADA,
    kind="like",
    item=RECORDS[0].item + ADA.account,
    body={"on": True},
    stamp=1_000,
    place=OPERATOR.account,
)


class Pages:
    """A client that tells an account's records page by page, and is gone after some.

    Attributes:
        left: how many pages it tells.
    """

    def __init__(self, records: Sequence[Record], left: int = 1_000) -> None:
        self.records = list(records)
        self.left = left
        self.cluster = "town"

    async def ready(self) -> Pages:
        return self

    async def auth(self, key: KeyPair) -> None:
        pass

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if not self.left:
            raise WireError(BUSY, "gone for today")
        self.left -= 1
        if method == "account.reactions":
            return self._reactions(params["start"])
        start = int.from_bytes(params["after"][-1:], "big") if "after" in params else 0
        told: dict[str, Any] = {"records": [each.to_wire() for each in self.records[start : start + 2]]}
        if start + 2 < len(self.records):
            told["next"] = place_prefix(ADA.account) + bytes([1, start + 2])
        return told

    def _reactions(self, start: bytes) -> dict[str, Any]:
        """Two ranges, in the second of which is something."""
        if start == b"":
            return {"records": [], "next": b"\x80"}
        return {"records": [LIKE.to_wire()]}

    async def account_history(self, account: bytes, *, current: bool = False) -> History:
        assert current
        whole = chain(*LIFE)
        return History(account, whole.number, whole.entries)

    async def gives(self, file: Path, key: KeyPair | None = None) -> Any:
        return await export(cast("Client", self), ADA.account, file, key, "quorum", lambda done, total: None)


def ids(file: Path) -> int:
    return check(file, lambda done, total: None).seal.manifest.records


async def test_an_export_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "ada"
    assert (await Pages(RECORDS).gives(tmp_path / "whole")).resumed == 0
    for broken in range(4):
        with pytest.raises(WireError, match="gone for today"):
            await Pages(RECORDS, broken).gives(file)
        assert not file.exists() and part_of(file).stat().st_mode & 0o777 == 0o600
        with part_of(file).open("ab") as torn:
            torn.write(b"\0\0\1\0torn")
        made = await Pages(RECORDS).gives(file)
        assert (made.records, made.resumed) == (len(RECORDS), 2 * broken)
        assert ids(file) == len(RECORDS) and not part_of(file).exists()
        file.unlink()


async def test_what_lies_with_others_is_in_it_and_gone_on_with(tmp_path: Path) -> None:
    file, pages = tmp_path / "ada", len(RECORDS) // 2
    for broken in (pages, 1, None):
        if broken is None:
            made = await Pages(RECORDS).gives(file, ADA)
            continue
        with pytest.raises(WireError, match="gone for today"):
            await Pages(RECORDS, broken).gives(file, ADA)
    assert (made.records, made.resumed) == (len(RECORDS) + 1, len(RECORDS))
    assert check(file, lambda done, total: None).kinds == {"post": len(RECORDS), "like": 1}
    assert (await Pages(RECORDS).gives(tmp_path / "public")).records == len(RECORDS), "for itself alone"


async def test_an_export_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "ada"
    with pytest.raises(WireError):
        await Pages(RECORDS, 1).gives(file)
    with pytest.raises(OperatorError, match="an export that was begun"):
        await Pages(RECORDS).gives(file, ADA)
    moved = Pages(RECORDS)
    moved.cluster = "elsewhere"
    with pytest.raises(OperatorError, match="in cluster town, without a key"):
        await moved.gives(file)
    assert (await Pages(RECORDS).gives(file)).resumed == 2


async def test_another_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    part_of(tmp_path / "ada").write_text("my letters")
    with pytest.raises(OperatorError, match="in the way"):
        await Pages(RECORDS).gives(tmp_path / "ada")
    assert part_of(tmp_path / "ada").read_text() == "my letters"


async def test_an_archive_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "ada"
    await Pages(RECORDS).gives(file, ADA)
    before = file.read_bytes()
    with pytest.raises(OperatorError, match="never overwritten"):
        await Pages(RECORDS).gives(file, ADA)
    assert file.read_bytes() == before and not part_of(file).exists()


@pytest.mark.parametrize(
    ("records", "key", "complaint"),
    [
        ([post(1, OPERATOR)], None, "was never the account's"),
        ([Record.sign(NEW, kind="post", item=RECORDS[0].item, body={"text": "x"}, stamp=1)], None, "instead"),
        (RECORDS, LOST, "or was revoked"),
    ],
)
async def test_what_would_not_hold_is_not_finished(
    tmp_path: Path, records: list[Record], key: KeyPair | None, complaint: str
) -> None:
    with pytest.raises(OperatorError, match=complaint):
        await Pages(records).gives(tmp_path / "ada", key)
    assert not (tmp_path / "ada").exists()


def test_a_damaged_file_is_named_with_the_place(folkmoot: Any, tmp_path: Path) -> None:
    file = tmp_path / "ada"
    archive(file)
    damaged = bytearray(file.read_bytes())
    damaged[200] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(Damaged, match="frame 2 at byte"):
        check(file, lambda done, total: None)
    ran = folkmoot("user", "verify", "ada", "--json")
    assert ran.code == 1 and ran.json["error"]["name"] == "damaged" and ran.json["error"]["frame"] == 2
    assert folkmoot("user", "import", "ada", "--node", "127.0.0.1:1", "--tls", "off").code == 1


def test_an_archive_is_verified_without_a_cluster(folkmoot: Any, tmp_path: Path) -> None:
    archive(tmp_path / "ada")
    told = folkmoot("user", "verify", "ada", "--json").json
    assert told["records"] == len(RECORDS) and told["number"] == 5 and told["signer"] is None
    assert "some may be missing" in folkmoot("user", "verify", "ada").out
    assert f"{len(RECORDS)} posts; 5 operations" in folkmoot("user", "verify", "ada").out
    assert folkmoot("user", "verify", "absent").code == 2


def test_things_are_counted_in_words() -> None:
    told = [counted(1, "post"), counted(1_000, "post"), counted(2, "medium", "media"), counted(0, "like")]
    assert told == ["1 post", "1,000 posts", "2 media", "0 likes"]


def test_names_that_strangers_give_are_counted_in_bounded_room() -> None:
    counted: Counter[str] = Counter()
    for number in range(1000):
        count(counted, f"name {number % 500}")
    assert len(counted) == NAMES + 1 and counted.total() == 1000
