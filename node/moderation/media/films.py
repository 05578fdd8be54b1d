"""Films out of files that strangers made: some of their frames, in the form that `decoding` gives pictures.

With the extra `[video]`, which brings FFmpeg's libraries. These read hundreds of formats, and some of them
name other files to read. So what they may use is named here: the one container that a file's own first bytes
say, decoders of what browsers play, nothing but the bytes that are there, one thread. How large a frame is,
how many packets there are and how long the film lasts is asked before anything is decoded.

All packets are read one after the other, and none is looked for by the indexes that some containers have, for
these may say what they like. Which of them are decoded is chosen by `moments`.

What cannot be decoded, as it should be possible, leaves the film looked at in part (`Unfinished`): somebody
else's decoder may show something there.
"""

from __future__ import annotations

import io
import resource
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from typing import Any, Final, NoReturn

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from folkmoot.node.moderation.media.bounds import (
    FILM_PACKETS,
    FILM_PIXELS,
    FILM_PIXELS_DECODED,
    FILM_PROCESSOR_S,
    FILM_S,
    FILM_TRACKS,
)
from folkmoot.node.moderation.media.decoding import SIDE, Frame, Undecodable, Unfinished, seen
from folkmoot.node.moderation.media.moments import Place, Run, plan, spread
from folkmoot.protocol.media.kinds import is_kind
from PIL import Image

FORMATS: Final = {"video/mp4": "mov", "video/webm": "matroska"}
STANDING_OUT: Final = 12  # frames that stand for the film

_HEAD_BYTES: Final = 64 * 1024  # by which the kind is known
_READ_BYTES: Final = 256 * 1024  # at once
_DECODERS: Final = frozenset({"h264", "hevc", "vp8", "vp9", "libdav1d", "mpeg4"})
_WORDS: Final = frozenset(
    {"mov_text", "webvtt", "subrip", "ass", "ssa", "text"}
)  # subtitles without pictures
_LATE: Final = 16  # packets: so many may have to follow before a frame comes out
_SECOND_PICTURE: Final = "matroska_block_additional"  # side data: what is transparent in it

_OPTIONS: Final = {
    "protocol_whitelist": "none",
    "codec_whitelist": ",".join(sorted(_DECODERS)),
    "max_streams": "32",
    "ignore_editlist": "1",  # of MP4, which leave out what others may show
    "ignore_chapters": "1",
}
_WHITELISTS: Final = {"mov": "mov,mp4,m4a,3gp,3g2,mj2", "matroska": "matroska,webm"}
_BROKEN: Final = (
    av.FFmpegError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AssertionError,
)


def frames(data: bytes, mime: str, pixels_max: int) -> Iterator[Frame]:
    """What is to be seen in a film at some moments, not in their order.

    Args:
        data: the file.
        mime: what it is said to be.
        pixels_max: the most that one frame may have.

    Raises:
        Undecodable, Unfinished: see there; the latter after all frames that are looked at.
    """
    if mime not in FORMATS:
        raise Undecodable("no_decoder")
    if not is_kind(mime, data[:_HEAD_BYTES]):
        raise Undecodable("unreadable")
    costs = _Costs()
    try:
        with _opened(data, FORMATS[mime], pixels_max) as container:
            tracks = _tracks(container, min(pixels_max, FILM_PIXELS))
            _read(container, tracks, bytes_max=2 * len(data))
            for track in tracks:
                yield from track.frames(costs)
    except MemoryError as error:
        raise Undecodable("too_large") from error
    except _BROKEN as error:
        raise Undecodable("unreadable") from error
    if any(track.is_broken for track in tracks):
        raise Undecodable("unreadable") if not any(track.shown for track in tracks) else Unfinished


def examples() -> list[tuple[str, bytes]]:
    """A short film, after its type, to find out whether all is there that takes; none without an encoder."""
    file = io.BytesIO()
    try:
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("mpeg4", rate=1)
            stream.width = stream.height = 64
            stream.thread_count = 1
            for _ in range(2):
                container.mux(stream.encode(VideoFrame(64, 64, "yuv420p")))
            container.mux(stream.encode())
    except _BROKEN:
        return []
    return [("video/mp4", file.getvalue())]


class _Costs:
    """What a film has cost so far."""

    def __init__(self) -> None:
        self._until_s = _used_s() + FILM_PROCESSOR_S
        self.pixels = FILM_PIXELS_DECODED

    def check(self, pixels: int = 0) -> None:
        """Note so many pixels more that are decoded.

        Raises:
            Unfinished: that is enough.
        """
        self.pixels -= pixels
        if self.pixels < 0 or _used_s() > self._until_s:
            raise Unfinished


class _Track:
    """A film, of which a file may have several."""

    def __init__(self, stream: VideoStream) -> None:
        assert stream.time_base is not None
        self.index = stream.index
        self.packets: list[Packet[Any]] = []
        self.is_broken = False
        self.shown = 0
        self._unit: Fraction = stream.time_base
        self._decoder: VideoCodecContext = stream.codec_context

    def add(self, packet: Packet[Any]) -> None:
        """Take what was read next.

        Raises:
            Undecodable: it cannot be judged.
        """
        if packet.has_sidedata(_SECOND_PICTURE):
            raise Undecodable("no_decoder")
        self.is_broken |= packet.is_corrupt
        self.packets.append(packet)

    def frames(self, costs: _Costs) -> Iterator[Frame]:
        """What is looked at."""
        if not self.packets:
            raise Undecodable("unreadable")
        places = [Place(_at(packet), packet.is_keyframe) for packet in self.packets]
        if (max(each.at for each in places) - min(each.at for each in places)) * self._unit > FILM_S:
            raise Undecodable("too_long")
        area = max(1, self._decoder.width * self._decoder.height)
        runs = plan(places, float(1 / self._unit), costs.pixels // area)
        moments = sorted({at for run in runs for at in run.wanted})
        standing_out = {moments[index] for index in spread(len(moments), STANDING_OUT)}
        for run in runs:
            with closing(self._wanted(run, costs)) as found:
                for at, frame in found:
                    self.shown += 1
                    for image in _images(frame):
                        yield Frame(image, at in standing_out)

    def _wanted(self, run: Run, costs: _Costs) -> Generator[tuple[int, VideoFrame]]:
        """The wanted frames of a run, each with when it was wanted. One that does not come, as when nothing
        new is to be seen at its time, is the one before it."""
        waiting, latest, taken = deque(run.wanted), None, None
        with closing(self._decoded(run, costs)) as decoded:
            for frame in decoded:
                if latest is None and not frame.key_frame:
                    self.is_broken = True  # it was said to be one
                latest = frame
                if frame.pts is not None and frame.pts >= waiting[0]:
                    taken = frame
                    yield waiting[0], frame
                    while waiting and waiting[0] <= frame.pts:
                        waiting.popleft()
                if not waiting:
                    return
        if latest is None:
            self.is_broken = True
        elif latest is not taken:
            yield waiting[-1], latest

    def _decoded(self, run: Run, costs: _Costs) -> Generator[VideoFrame]:
        decoder = self._decoder
        try:
            for packet in (*self.packets[run.first : run.last + 1 + _LATE], None):
                costs.check(decoder.width * decoder.height)
                try:
                    found = decoder.decode(packet)
                except av.FFmpegError as error:
                    if isinstance(error, MemoryError):
                        raise
                    self.is_broken = True
                    continue
                self.is_broken |= any(frame.is_corrupt for frame in found)
                yield from found
        finally:
            decoder.flush_buffers()


def _opened(data: bytes, form: str, pixels_max: int) -> InputContainer:
    return av.open(
        io.BytesIO(data),
        "r",
        format=form,
        options={"max_pixels": str(pixels_max)},  # of what is decoded in order to know what is in there
        container_options={**_OPTIONS, "format_whitelist": _WHITELISTS[form]},
        metadata_errors="replace",
        buffer_size=_READ_BYTES,
        io_open=_refuse,
    )


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a film is nothing but its own bytes")


def _tracks(container: InputContainer, pixels_max: int) -> list[_Track]:
    """The films in a file, ready to be decoded.

    Raises:
        Undecodable: there is none, or more in it than can be judged.
    """
    tracks = []
    for stream in container.streams:
        codec = stream.codec_context.name if stream.codec_context is not None else ""
        if isinstance(stream, VideoStream):
            if codec not in _DECODERS:
                raise Undecodable("no_decoder")
            _prepare(stream.codec_context, pixels_max)
            tracks.append(_Track(stream))
        elif stream.type == "subtitle" and codec not in _WORDS:
            raise Undecodable("no_decoder")
    if len(tracks) > FILM_TRACKS:
        raise Undecodable("too_long")
    if not tracks:
        raise Undecodable("unreadable")
    return tracks


def _prepare(decoder: VideoCodecContext, pixels_max: int) -> None:
    if decoder.width * decoder.height > pixels_max:
        raise Undecodable("too_large")
    decoder.thread_count = 1
    decoder.thread_type = ThreadType.NONE
    decoder.options = {"max_pixels": str(pixels_max)}  # a file may say one thing and hold another


def _read(container: InputContainer, tracks: list[_Track], bytes_max: int) -> None:
    """Read all packets, and keep those of films.

    Raises:
        Undecodable: there are more than may be, or more in them.
    """
    by_index = {track.index: track for track in tracks}
    size = 0
    for count, packet in enumerate(container.demux()):
        size += packet.size
        if count >= FILM_PACKETS:
            raise Undecodable("too_long")
        if size > bytes_max:  # some bytes were read more than once, or unfolded
            raise Undecodable("too_large")
        if packet.size and packet.stream_index in by_index:
            by_index[packet.stream_index].add(packet)


def _at(packet: Packet[Any]) -> int:
    at = packet.dts if packet.pts is None else packet.pts
    if at is None:
        raise Undecodable("unreadable")
    return at


def _images(frame: VideoFrame) -> Iterator[Image.Image]:
    """A frame as it is seen: small, upright, and if some is transparent, with and without that."""
    factor = -(-max(frame.width, frame.height) // SIDE)
    is_clear = any(component.is_alpha for component in frame.format.components)
    small = frame.reformat(
        max(1, frame.width // factor),
        max(1, frame.height // factor),
        "rgba" if is_clear else "rgb24",
        interpolation="AREA",
        threads=1,
    )
    image = Image.fromarray(small.to_ndarray())
    return seen(image.rotate(frame.rotation, expand=True) if frame.rotation else image)


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
