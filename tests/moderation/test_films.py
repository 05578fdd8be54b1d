"""Films: what is in them is found, and whatever else they are, there is an answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from folkmoot.node.moderation.media import bounds
from folkmoot.node.moderation.media.judged import Judged, Question, Unjudged
from folkmoot.node.moderation.media.lists import read_list
from folkmoot.node.moderation.media.moments import Run
from folkmoot.node.moderation.media.outcome import Judge

from tests.moderation.drawings import bright, decoding, drawing, ours
from tests.moderation.filming import KINDS, SIZE, Image, av, film, shown, song, still
from tests.moderation.test_decoders import file, near, running

from folkmoot.node.moderation.media import films  # isort: skip  # after it is known to be there
from folkmoot.node.moderation.media.looking import Looker  # isort: skip

pytestmark = pytest.mark.timeout(120)

FINE, KNOWN, OTHER = 1, 2, 3
PIXELS = 4_000_000
NEEDS_H264 = pytest.mark.skipif("libx264" not in av.codecs_available, reason="no encoder of H.264 here")
NEEDS_VP8 = pytest.mark.skipif("libvpx" not in av.codecs_available, reason="no encoder of VP8 here")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of a library that waits for each other count as work, and more on a busy machine."""
    monkeypatch.setattr(films, "FILM_PROCESSOR_S", 600)


def looked_at(data: bytes, mime: str = "video/mp4", pixels: int = PIXELS) -> Judged:
    """What is seen in a film, by this very process."""
    return Looker(pixels, None, films.frames).look(data, Question(mime, len(data)))


def shows(judged: Judged, seed: int) -> bool:
    return near(judged.hashes, ours.pdq(bright(still(seed)))[0])


@pytest.mark.parametrize(("codec", "mime"), KINDS)
async def test_a_known_picture_is_found_wherever_it_is_in_a_film(codec: str, mime: str) -> None:
    scenes = {
        "first": [(KNOWN, 1), (FINE, 6)],
        "in the middle": [(FINE, 3), (KNOWN, 2), (OTHER, 3)],
        "last": [(FINE, 6), (KNOWN, 1)],
    }
    async with running(PIXELS) as decoders:
        for where, parts in scenes.items():
            for key_every in (12, 1_000):
                data = film(shown(*parts), codec, mime, key_every=key_every)
                judged = await decoders.judge(*file(data, mime))
                assert (judged.unjudged, judged.whole) == (None, True), where
                assert shows(judged, KNOWN) and shows(judged, FINE), (where, key_every)
        judged = await decoders.judge(*file(film(shown((FINE, 7)), codec, mime), mime))
        assert (judged.unjudged, judged.whole) == (None, True)
        assert shows(judged, FINE) and not shows(judged, KNOWN)
        assert decoders.replaced == 0


def test_a_known_picture_is_found_in_a_film_by_hevc() -> None:
    judged = looked_at((Path(__file__).parent / "hevc.mp4").read_bytes())
    assert judged.whole and shows(judged, FINE) and shows(judged, KNOWN) and not shows(judged, OTHER)


def test_a_known_picture_makes_a_film_matched_or_sealed_and_others_are_clear(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(ours.pdq(bright(still(KNOWN)))[0].hex() + " bad\n")
    with_it, without = (looked_at(film(shown((FINE, 2), (seed, 2)))) for seed in (KNOWN, OTHER))
    for sealed, status in ((False, "matched"), (True, "sealed")):
        judge = Judge((read_list(tmp_path / "list", "known", sealed=sealed, distance=31, room=1),), None)
        outcome = judge.outcome(with_it)
        assert (outcome.status, outcome.list, outcome.category) == (status, "known", "bad")
        assert judge.outcome(without).status == "clear"


def test_a_picture_with_bars_around_it_is_found_in_any_frame() -> None:
    wide = Image.new("RGB", (240, 120), "black")
    wide.paste(still(KNOWN), (40, 0))
    other = [drawing(seed, 240, 120) for seed in range(10, 40) for _ in range(10)]
    judged = looked_at(film([*other[:170], *[wide] * 20, *other[170:]]))
    assert judged.whole and shows(judged, KNOWN)


def test_what_is_shown_turned_is_looked_at_upright() -> None:
    pictures = shown((FINE, 1))
    plain, turned = (film(pictures, rotation=degrees) for degrees in (0, 90))
    upright = next(films.frames(plain, "video/mp4", PIXELS)).image
    found = next(films.frames(turned, "video/mp4", PIXELS)).image
    assert upright.size == SIZE and found.size == SIZE[::-1]
    difference = bright(found) - bright(upright.rotate(90, expand=True))
    assert abs(difference).mean() < 1


def test_all_films_in_a_file_are_looked_at() -> None:
    judged = looked_at(film(shown((FINE, 2)), tracks=2, more=shown((KNOWN, 2))))
    assert judged.whole and shows(judged, FINE) and shows(judged, KNOWN)
    assert looked_at(film(shown((FINE, 1)), tracks=bounds.FILM_TRACKS + 1)).unjudged == "too_long"


@NEEDS_H264
@NEEDS_VP8
def test_what_cannot_be_judged_is_told() -> None:
    whole = film(shown((FINE, 2)))
    web = film(shown((FINE, 2)), "libvpx", "video/webm")
    two = shown((FINE, 2))
    cases = {
        "another codec": (film(two, "mjpeg", pixels="yuvj420p"), "video/mp4", "no_decoder"),
        "another type": (whole, "video/quicktime", "no_decoder"),
        "what is transparent besides": (
            film(two, "libvpx", "video/webm", pixels="yuva420p", auto_alt_ref="0"),
            "video/webm",
            "no_decoder",
        ),
        "sound alone": (song(), "video/mp4", "unreadable"),
        "an MP4 called WebM": (whole, "video/webm", "unreadable"),
        "a WebM called MP4": (web, "video/mp4", "unreadable"),
        "a QuickTime film": (
            whole.replace(b"isom", b"qt  ").replace(b"iso2", b"qt  ").replace(b"mp41", b"qt  "),
            "video/mp4",
            "unreadable",
        ),
        "cut off before its index": (whole[: len(whole) // 2], "video/mp4", "unreadable"),
        "a header alone": (whole[:32], "video/mp4", "unreadable"),
        "nothing": (b"\0", "video/mp4", "unreadable"),
        "that lasts too long": (film(two, last_at=bounds.FILM_S + 1), "video/mp4", "too_long"),
        "of large frames": (film([drawing(1, 2_002, 2_000)] * 2, "libx264"), "video/mp4", "too_large"),
        "of frames that are larger than it says": (
            smaller(film([drawing(1, 2_002, 2_000)] * 2, "libx264")),
            "video/mp4",
            "too_large",
        ),
        "that lists its bytes again and again": (repeated(film(two, tracks=4)), "video/mp4", "too_large"),
    }
    for what, (data, mime, reason) in cases.items():
        assert looked_at(data, mime).unjudged == reason, what
    assert looked_at(film(two, last_at=bounds.FILM_S - 1)).whole


def smaller(data: bytes) -> bytes:
    """An MP4 that says of its frames that they have 16 × 16 pixels."""
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    return data[:at] + b"\0\x10\0\x10" + data[at + 4 :]


def repeated(data: bytes) -> bytes:
    """An MP4 in which the first sample of each track goes on to the end of the file."""
    parts = data.split(b"stsz")
    return b"stsz".join(
        [parts[0], *(part[:12] + len(data).to_bytes(4, "big") + part[16:] for part in parts[1:])]
    )


PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "a list of files": "ffconcat version 1.0\nfile '{}'\n",
    "DASH": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet mimeType="video/mp4">'
    "<Representation><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "a description of a session": "v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.mark.parametrize("form", ["bare", "behind a header"])
def test_what_names_other_files_is_no_film(tmp_path: Path, form: str) -> None:
    (tmp_path / "film.mp4").write_bytes(film(shown((KNOWN, 2))))
    header = {"bare": b"", "behind a header": b"\0\0\0\x18ftypisom\0\0\0\0isommp41"}[form]
    for what, playlist in PLAYLISTS.items():
        for place in (str(tmp_path / "film.mp4"), "http://127.0.0.1:9/film.mp4"):
            data = header + playlist.format(place).encode()
            assert looked_at(data) == Judged(unjudged="unreadable"), what
            for container in films.FORMATS.values():  # also if it were taken for one
                with pytest.raises((av.FFmpegError, PermissionError)):
                    films._opened(data, container, PIXELS)


def test_nothing_else_is_opened_even_when_a_film_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An MP4 may say that its samples are in another file; that this is followed is turned on here."""
    inside = film(shown((FINE, 1)))
    at = inside.index(b"url \0\0\0\x01") + 4
    outside = inside[: at + 3] + b"\0" + inside[at + 4 :]
    monkeypatch.setitem(films._OPTIONS, "enable_drefs", "1")
    assert looked_at(outside).unjudged in (None, "unreadable")
    with pytest.raises(PermissionError, match="nothing but its own bytes"):
        films._refuse(str(tmp_path), 0, {})


def test_a_film_that_was_cut_off_is_looked_at_as_far_as_it_goes() -> None:
    data = film(shown((KNOWN, 2), (FINE, 2)), in_parts=True)
    judged = looked_at(data[: len(data) * 3 // 4])
    assert shows(judged, KNOWN) and not judged.whole
    if ("libvpx", "video/webm") in KINDS:
        data = film(shown((KNOWN, 2), (FINE, 2)), "libvpx", "video/webm")
        assert shows(looked_at(data[: len(data) * 3 // 4], "video/webm"), KNOWN)


def test_what_is_said_to_be_a_key_frame_and_is_none_is_not_believed() -> None:
    data = film(shown((FINE, 1), (KNOWN, 3)), key_every=1_000)
    at = data.index(b"stss") - 4
    lying = data[: at + 4] + b"free" + data[at + 8 :]  # without this list each frame is one
    assert looked_at(data).whole and not looked_at(lying).whole


class _Decoder:
    """Gives the frames that it was told to for each packet, and the last of them when there are no more."""

    width = height = 8

    def __init__(self, *frames: list[int]) -> None:
        self._frames = list(frames)

    def decode(self, packet: object) -> list[SimpleNamespace]:
        given = self._frames.pop(0) if self._frames else []
        return [SimpleNamespace(pts=pts, key_frame=pts == 0, is_corrupt=False) for pts in given]

    def flush_buffers(self) -> None:
        """Nothing is kept."""


@pytest.mark.parametrize(
    ("frames", "taken", "is_broken"),
    [
        (([0], [1], [2]), [(0, 0), (2, 2)], False),
        (([], [0], [], [1, 2]), [(0, 0), (2, 2)], False),  # later, as where frames are reordered
        (([0], [1], []), [(0, 0), (2, 1)], False),  # nothing new is to be seen there
        (([0], [3]), [(0, 0), (2, 3)], False),
        (([0], [], []), [(0, 0)], False),  # it is the same still
        (([], [], []), [], True),
        (([1], [2]), [(0, 1), (2, 2)], True),  # that was no key frame
    ],
)
def test_frames_are_taken_for_the_moments_they_are_wanted_for(
    frames: tuple[list[int], ...], taken: list[tuple[int, int]], is_broken: bool
) -> None:
    stream: Any = SimpleNamespace(index=0, time_base=Fraction(1, 10), codec_context=_Decoder(*frames))
    track = films._Track(stream)
    track.packets = [av.Packet(b"any")] * 3
    found = track._wanted(Run(0, 2, (0, 2)), films._Costs())
    assert [(at, frame.pts) for at, frame in found] == taken and track.is_broken == is_broken


def test_what_costs_too_much_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(shown((FINE, 1), (OTHER, 9)), key_every=1_000)
    monkeypatch.setattr(films, "FILM_PIXELS_DECODED", SIZE[0] * SIZE[1] * 20)
    judged = looked_at(data)
    assert not judged.whole and shows(judged, FINE)
    monkeypatch.setattr(films, "FILM_PIXELS_DECODED", bounds.FILM_PIXELS_DECODED)
    monkeypatch.setattr(films, "FILM_PROCESSOR_S", 0)
    assert not looked_at(data).whole
    monkeypatch.setattr(films, "FILM_PACKETS", 50)
    assert looked_at(data).unjudged == "too_long"


async def test_the_largest_frames_fit_into_the_memory_that_there_is() -> None:
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    data = film([drawing(KNOWN).resize((4_096, 2_304))] * 3, codec)
    async with running(64_000_000) as decoders:
        judged = await decoders.judge(*file(data, "video/mp4"))
        assert (judged.unjudged, judged.whole) == (None, True)
        assert near(judged.hashes, ours.pdq(bright(drawing(KNOWN)))[0])
        for codec, mime in KINDS:
            larger = film([drawing(KNOWN).resize((4_098, 2_304))], codec, mime)
            assert (await decoders.judge(*file(larger, mime))).unjudged == "too_large", codec


CHANGES: list[Callable[[bytearray, Random], object]] = [
    lambda data, random: data.__setitem__(random.randrange(len(data)), random.randrange(256)),
    lambda data, random: data.__setitem__(random.randrange(min(len(data), 900)), random.randrange(256)),
    lambda data, random: data.__setitem__(-random.randrange(1, min(len(data), 900)), random.randrange(256)),
    lambda data, random: data.__delitem__(
        slice(at := random.randrange(len(data)), at + random.randrange(40))
    ),
    lambda data, random: data.__setitem__(slice(random.randrange(len(data)), None), b""),
    lambda data, random: data.__setitem__(
        slice(at := random.randrange(len(data) - 8), at + 4),
        random.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff")),
    ),
]


async def test_whatever_films_are_made_into_costs_a_process_at_most() -> None:
    pictures = shown((FINE, 0.6), (KNOWN, 0.6), size=(64, 48))
    whole = [(mime, film(pictures, codec, mime, key_every=5)) for codec, mime in KINDS]
    async with running(PIXELS) as decoders:
        for seed in range(300):
            random = Random(seed)
            mime, data = random.choice(whole)
            changed = bytearray(data)
            for _ in range(random.randrange(1, 6)):
                if len(changed) > 16:
                    random.choice(CHANGES)(changed, random)
            judged = await decoders.judge(*file(bytes(changed) or b"\0", mime))
            assert judged.unjudged in (None, *get_args(Unjudged)), seed
        for mime, data in whole:
            judged = await decoders.judge(*file(data, mime))
            assert (judged.unjudged, judged.whole) == (None, True), mime


WITHOUT = """
import sys
sys.modules["av"] = None
from folkmoot.node.moderation.media import worker
worker.main(["4000000"])
"""


async def test_without_the_extra_films_have_no_decoder_and_pictures_have() -> None:
    async with running(command=(sys.executable, "-c", WITHOUT)) as decoders:
        assert (await decoders.judge(*file(film(shown((FINE, 1))), "video/mp4"))).unjudged == "no_decoder"
        assert (await decoders.judge(*file(film(shown((FINE, 1))), "video/webm"))).unjudged == "no_decoder"


def test_a_film_that_was_not_looked_at_whole_is_never_clear(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("ab" * 32)
    lists = (read_list(tmp_path / "list", "known", sealed=False, distance=31, room=1),)
    for judge in (Judge(lists, None), Judge((), 0.8), Judge(lists, 0.8)):
        outcome = judge.outcome(Judged(nsfw=0.1, whole=False))
        assert (outcome.status, outcome.reason) == ("unknown", "unfinished")


def test_the_example_is_a_film() -> None:
    [(mime, data)] = films.examples()
    assert looked_at(data, mime).whole
    assert {frame.stands_out for frame in films.frames(data, mime, PIXELS)} == {True}
    with pytest.raises(decoding.Undecodable):
        list(films.frames(data, "image/png", PIXELS))
