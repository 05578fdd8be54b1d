"""What it costs to look at a film, by codec and by how far its key frames are from each other.

Method. Ten seconds (`--full`: thirty) of 1,280 × 720 pixels at 30 frames a second are made by the encoders
that come with the extra `[video]`: over a photograph of chance, which another takes the place of twice, the
camera moves, and there is grain. Such a film is looked at as a worker does, in this process; processor time
is told, the median, in seconds. Set OPENBLAS_NUM_THREADS to 1 as nodes do for their workers.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any, Final

import av
import numpy as np
from folkmoot.node.moderation.media import films
from folkmoot.node.moderation.media.judged import Judged, Question
from folkmoot.node.moderation.media.looking import Looker
from PIL import Image

from benchmarks.harness import Plan, median

SECONDS, SECONDS_FULL = 10, 30
FPS: Final = 30
SCENES: Final = 3
WIDTH, HEIGHT = 1_280, 720
ROOM: Final = 400  # pixels, over which the camera moves
KEYS: Final = (30, 250)  # frames apart at most: what telephones do, and what encoders do by themselves
ENCODERS: Final = {
    "libx264": ("video/mp4", {"preset": "veryfast"}),
    "libx265": ("video/mp4", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    "mpeg4": ("video/mp4", {"b": "3000000"}),
    "libvpx": ("video/webm", {"deadline": "realtime", "cpu-used": "8", "b": "2000000"}),
    "libvpx-vp9": ("video/webm", {"deadline": "realtime", "cpu-used": "8", "b": "2000000"}),
    "libsvtav1": ("video/webm", {"preset": "12"}),
}
SEED: Final = 7


def run(plan: Plan) -> dict[str, Any]:
    """Measure looking at each sort of film."""
    looker = Looker(64_000_000, None, films.frames)
    looker.practise(*films.examples())
    seconds = SECONDS_FULL if plan.full else SECONDS
    found: dict[str, Any] = {"seconds_of_film": seconds}
    for codec, (mime, _) in ENCODERS.items():
        if codec not in av.codecs_available:
            continue
        for keys in KEYS:
            data = _film(codec, keys, seconds)
            spent, judged = zip(*(_spent(looker, mime, data) for _ in range(plan.repetitions)), strict=True)
            assert judged[0].whole and judged[0].unjudged is None
            found[f"{codec}, a key frame in {keys}"] = {
                "processor_s": median(spent),
                "hashes": len(judged[0].hashes),
                "bytes": len(data),
            }
    return found


def _spent(looker: Looker, mime: str, data: bytes) -> tuple[float, Judged]:
    began = time.process_time()
    judged = looker.look(data, Question(mime, len(data)))
    return time.process_time() - began, judged


def _film(codec: str, keys: int, seconds: int) -> bytes:
    mime, options = ENCODERS[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=mime.partition("/")[2]) as container:
        stream: Any = container.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", keys
        for picture in _pictures(seconds * FPS):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def _pictures(count: int) -> Iterator[Any]:
    random = np.random.default_rng(SEED)
    grain = random.integers(-6, 7, (HEIGHT, WIDTH, 3), dtype=np.int16)
    for scene in range(SCENES):
        photograph = np.zeros((HEIGHT + ROOM, WIDTH + ROOM, 3), dtype=np.int16)
        for cells in (4, 12, 40):
            noise = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            photograph += np.asarray(noise.resize((WIDTH + ROOM, HEIGHT + ROOM))).astype(np.int16) // 3
        for index in range(count * scene // SCENES, count * (scene + 1) // SCENES):
            across, down = index % ROOM, index // 2 % ROOM
            seen = photograph[down : down + HEIGHT, across : across + WIDTH] + np.roll(grain, index * 7, 1)
            yield np.ascontiguousarray(seen.clip(0, 255).astype(np.uint8))
