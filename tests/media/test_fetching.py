"""Fetching a medium from nodes that lie, break off, or never answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
import trio
import trio.testing
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.media import messages
from folkmoot.node.media.fetching import Fetcher
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, NOT_FOUND, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.files import OsFiles
from folkmoot.storage.media.layout import Area, Name

from tests.media import pictures
from tests.node.people import Author

T = TypeVar("T")

ANN = Author(1).account
DATA = pictures.png(2 * CHUNK_BYTES + 5)
WHOLE = pictures.of(DATA)
PARTS = pictures.chunks(DATA, WHOLE)
NAME = Name(ANN, WHOLE.hash)
PAGE = b"<!DOCTYPE html><script>alert(1)</script>" * 9
GOOD, BAD = b"g" * 16, b"b" * 16


class Inline:
    """Runs everything at once."""

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()

    def spent_s(self) -> float:
        return 0.0


class Others:
    """Other nodes: what each says that the medium is, and its chunks; None never answers."""

    def __init__(self, nodes: Mapping[bytes, tuple[Manifest, list[bytes]] | Exception | None]) -> None:
        self._nodes = nodes
        self.asked: list[tuple[bytes, str, Mapping[str, Any]]] = []

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        self.asked.append((node_id, method, params))
        await trio.lowlevel.checkpoint()
        found = self._nodes[node_id]
        if found is None:
            await trio.sleep_forever()
        if isinstance(found, Exception):
            raise found
        assert found is not None
        manifest, chunks = found
        return manifest.to_wire() if method == messages.MANIFEST else {"data": chunks[params["index"]]}


@asynccontextmanager
async def fetching(directory: Path, others: Others) -> AsyncIterator[tuple[Fetcher, Blobs]]:
    blobs = Blobs(OsFiles(), directory / "media", 1 << 30, 1 << 30)
    fetcher = Fetcher(blobs, Inline(), others)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        yield fetcher, blobs
        nursery.cancel_scope.cancel()


def claimed(data: bytes, mime: str) -> tuple[Manifest, list[bytes]]:
    manifest = pictures.of(data, mime)
    return manifest, pictures.chunks(data, manifest)


WRONG_WHOLE = [PARTS[1], PARTS[0], PARTS[2]]


@pytest.mark.parametrize(
    "bad",
    [
        (WHOLE, [PARTS[0], PARTS[1][:-1] + b"x", PARTS[2]]),
        (WHOLE, [PARTS[0], PARTS[1] + b"x", PARTS[2]]),
        (WHOLE, [PARTS[0], b"", PARTS[2]]),
        (Manifest(WHOLE.hash, WHOLE.size, WHOLE.mime, [WHOLE.chunks[1], *WHOLE.chunks[::2]]), WRONG_WHOLE),
        claimed(pictures.png(99), "image/png"),
        (Manifest(WHOLE.hash, WHOLE.size, "text/html", WHOLE.chunks), PARTS),
        (Manifest(WHOLE.hash, WHOLE.size, "image/gif", WHOLE.chunks), PARTS),
        PeerUnreachable("it is gone"),
        WireError(NOT_FOUND, "never had it"),
    ],
    ids=[
        "flipped",
        "too-long",
        "empty",
        "other-bytes",
        "other-medium",
        "a-page",
        "another-type",
        "gone",
        "none",
    ],
)
async def test_who_lies_is_passed_over_for_the_next(tmp_path: Path, autojump_clock: Any, bad: Any) -> None:
    async with fetching(tmp_path, Others({BAD: bad, GOOD: (WHOLE, PARTS)})) as (fetcher, blobs):
        fetch = fetcher.begin(NAME, Area.KEPT, [BAD, GOOD])
        await fetcher.wait(fetch)
        assert blobs.manifest(Area.KEPT, NAME) == WHOLE
        assert b"".join(blobs.read(Area.KEPT, NAME, index) for index in range(3)) == DATA
        assert blobs.used(Area.PARTIAL) == 0 and fetcher.running == 0


@pytest.mark.parametrize("mime", ["text/html", "image/png"])
async def test_a_page_is_not_brought_by_whatever_name(tmp_path: Path, autojump_clock: Any, mime: str) -> None:
    page = claimed(PAGE, mime)
    async with fetching(tmp_path, Others({BAD: page})) as (fetcher, blobs):
        with pytest.raises(WireError) as caught:
            await fetcher.wait(fetcher.begin(Name(ANN, page[0].hash), Area.CACHE, [BAD]))
        assert caught.value.kind is BAD_REQUEST
        assert blobs.find(Name(ANN, page[0].hash)) is None and blobs.used(Area.PARTIAL) == 0


async def test_caches_take_nothing_from_caches(tmp_path: Path, autojump_clock: Any) -> None:
    others = Others({GOOD: (WHOLE, PARTS)})
    async with fetching(tmp_path, others) as (fetcher, blobs):
        for area, kept in ((Area.CACHE, True), (Area.KEPT, False)):
            await fetcher.wait(fetcher.begin(NAME, area, [GOOD]))
            assert [each["kept"] for _, method, each in others.asked if method == messages.MANIFEST] == [kept]
            others.asked.clear()
            blobs.drop(area, NAME)


async def test_what_waits_is_bounded(
    tmp_path: Path, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MEDIA_WAITING", 5)
    async with fetching(tmp_path, Others({BAD: None})) as (fetcher, _):
        for number in range(5):
            fetcher.begin(Name(ANN, bytes([number]) * 32), Area.KEPT, [BAD], size=number)
            await trio.testing.wait_all_tasks_blocked()
        assert fetcher.coming(ANN) == {bytes([number]) * 32: number for number in range(5)}
        with pytest.raises(WireError) as caught:
            fetcher.begin(NAME, Area.KEPT, [BAD])
        assert caught.value.kind is BUSY and fetcher.running == 5
        assert fetcher.begin(Name(ANN, bytes(32)), Area.KEPT, [GOOD]).sources == [BAD, GOOD]


def _unreadable(*_: Any) -> NoReturn:
    raise OSError(5, "Input/output error")


async def test_a_disk_that_cannot_be_read_ends_one_fetch_and_no_more(
    tmp_path: Path, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fetching(tmp_path, Others({GOOD: (WHOLE, PARTS)})) as (fetcher, blobs):
        with monkeypatch.context() as patched:
            patched.setattr("os.pread", _unreadable)
            with pytest.raises(WireError):
                await fetcher.wait(fetcher.begin(NAME, Area.KEPT, [GOOD]))
        await fetcher.wait(fetcher.begin(NAME, Area.KEPT, [GOOD]))
        assert blobs.find(NAME) is Area.KEPT
