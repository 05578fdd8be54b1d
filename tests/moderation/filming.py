"""Films for these tests, made of drawings by the encoders that came with the extra."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest

from tests.moderation.drawings import Image, drawing

av = pytest.importorskip("av", reason="needs the extra [video]")

FPS = 10
SIZE = (160, 120)
FORMS = {"video/mp4": "mp4", "video/webm": "webm"}
HOW = {
    "mpeg4": {"b": "4000000"},
    "libx264": {"preset": "ultrafast"},
    "libsvtav1": {"preset": "12"},
    "libvpx": {"b": "4000000", "deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}
"""What makes encoders quick, or finer than they would be."""

KINDS = [
    (codec, mime)
    for codec, mime in (
        *(("mpeg4", "video/mp4"), ("libx264", "video/mp4")),
        *(("libsvtav1", "video/mp4"), ("libsvtav1", "video/webm")),
        *(("libvpx", "video/webm"), ("libvpx-vp9", "video/webm")),
    )
    if codec in av.codecs_available
]
"""What can be made here, of what browsers play; a build of FFmpeg may lack encoders. That of HEVC writes
headers now and then that cannot be put into an MP4, so a film of it stands beside this file."""


def shown(*scenes: tuple[int, float], size: tuple[int, int] = SIZE) -> list[Any]:
    """The pictures of a film: each scene is a drawing, by its number, and for how many seconds it is seen."""
    return [picture for seed, seconds in scenes for picture in [drawing(seed, *size)] * round(seconds * FPS)]


def film(
    pictures: Sequence[Any],
    codec: str = "mpeg4",
    mime: str = "video/mp4",
    *,
    key_every: int = 12,
    tracks: int = 1,
    more: Sequence[Any] = (),
    pixels: str = "yuv420p",
    rotation: int = 0,
    last_at: int | None = None,
    in_parts: bool = False,
    **options: str,
) -> bytes:
    """A file.

    Args:
        pictures: all of one size.
        codec: by which encoder.
        mime: in which container.
        key_every: how many frames apart key frames are at most.
        tracks: how many films there are in it, all with the same pictures …
        more: … but the last, which has these, if any are given.
        pixels: their format.
        rotation: by how many degrees it is to be turned when it is shown.
        last_at: the second at which the last picture is to be seen.
        in_parts: whether an MP4 has an index for each second or so, before what it is of.
        options: of the encoder, with _ for -.
    """
    file = io.BytesIO()
    how = {"movflags": "frag_keyframe+empty_moov"} if in_parts else {}
    with av.open(file, "w", format=FORMS[mime], options=how) as container:
        streams = []
        for _ in range(tracks):
            stream = container.add_stream(codec, rate=FPS, options={**HOW.get(codec, {}), **_named(options)})
            stream.width, stream.height = pictures[0].size
            stream.pix_fmt, stream.gop_size, stream.thread_count = pixels, key_every, 1
            if rotation:
                stream.set_display_rotation(rotation)
            streams.append(stream)
        for number, stream in enumerate(streams):
            scenes = more if more and number == tracks - 1 else pictures
            for index, picture in enumerate(scenes):
                frame = av.VideoFrame.from_image(picture)
                frame.pts = index
                if last_at is not None and index == len(scenes) - 1:
                    frame.pts = last_at * FPS
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return file.getvalue()


def _named(options: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in options.items()}


def song(seconds: int = 1) -> bytes:
    """An MP4 with nothing but sound in it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44_100)
        for _ in range(seconds * 43):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.sample_rate = 44_100
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def still(seed: int) -> Any:
    """A picture as it stands in these films."""
    return drawing(seed, *SIZE)


__all__ = ["FPS", "KINDS", "SIZE", "Image", "av", "film", "shown", "song", "still"]
