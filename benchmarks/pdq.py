"""Whether pictures are found in lists after they were changed, whether others are not, and what it costs.

Method. The pictures are the photographs of shared/data/images beside the checkout: ten that differ, and of
each six cut-outs of 50 to 100 % of its width and height, drawn with a seed (`--full`: forty), which stand
for as many pictures. Those with a quality below 80 are told apart. Each is listed, changed in each way of
`picture_edits`, and looked up, at 31 bits: by one hash for one hash, as PDQ is mostly used (*plain*); by all
hashes for one (*published list*); and by all for all (*own list*). Shares have Wilson's intervals of 95 %.

*False matches.* Each fourth changed picture is looked up among all hashes of cut-outs of other photographs,
and among 1,350 published ones. A comparison is one picture with one listed picture; the interval is Wilson's.

*Cost* is processor time, medians: of decoding and hashing a JPEG of 1.6 megapixels, and of looking up the
hashes of a picture among a million random ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np
from folkmoot.node.moderation.media import decoding, pdq, variants
from folkmoot.node.moderation.media.bounds import QUALITY_MIN
from folkmoot.node.moderation.media.index import DISTANCE_MAX, HashIndex
from folkmoot.protocol.moderation.statistics.proportions import Share, wilson
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import Plan, median
from benchmarks.picture_edits import BEYOND, EDITS, Picture

IMAGES: Final = Path(__file__).parents[2] / "shared" / "data" / "images"
PHOTOGRAPHS: Final = ("skimage/*", "pdq_bridge_mods/aaa-orig.jpg", "pdq_misc/c.png")
CUTOUTS, CUTOUTS_FULL = 6, 40
GOOD: Final = 80
EACH: Final = 4  # so that all edits, not all pictures, are looked up among others
LISTED: Final = 1_000_000
TARGETS = {"recall_at_least": 0.95}
SEED = 5

Words = NDArray[np.uint64]


class Original(NamedTuple):
    """A picture that is listed.

    Args:
        photograph: which it was cut out of.
        quality: of its hash.
        listed: all that it is listed by, its own hash first.
    """

    photograph: int
    picture: Picture
    quality: int
    listed: Words


def run(plan: Plan) -> dict[str, Any]:
    """Measure."""
    if not IMAGES.is_dir():
        return {"skipped": f"not beside the checkout: {IMAGES.relative_to(IMAGES.parents[2])}"}
    originals = list(_originals(CUTOUTS_FULL if plan.full else CUTOUTS))
    good = [each for each in originals if each.quality >= GOOD]
    poor = [each for each in originals if each.quality >= QUALITY_MIN and each.quality < GOOD]
    asked = {name: [_looked_up(edit(each.picture)) for each in originals] for name, edit in EDITS.items()}
    beyond = {name: [_looked_up(edit(each.picture)) for each in originals] for name, edit in BEYOND.items()}
    return {
        "pictures": {"good": len(good), "quality_50_to_80": len(poor)},
        "recall": {name: _recall(originals, asks, good) for name, asks in asked.items()},
        "recall_quality_50_to_80": {name: _recall(originals, asks, poor) for name, asks in asked.items()},
        "recall_not_claimed": {name: _recall(originals, asks, good) for name, asks in beyond.items()},
        "false_matches": _false_matches(originals, asked),
        "cost": _cost(plan),
        "targets": TARGETS,
    }


def _originals(count: int) -> Iterator[Original]:
    random = Random(SEED)
    files = [file for pattern in PHOTOGRAPHS for file in sorted(IMAGES.glob(pattern))]
    for number, file in enumerate(files):
        with Image.open(file) as opened:
            photograph = opened.convert("RGB")
        for _ in range(count):
            share = random.uniform(0.5, 1)
            width, height = (int(side * share) for side in photograph.size)
            left = random.randint(0, photograph.width - width)
            top = random.randint(0, photograph.height - height)
            picture = photograph.crop((left, top, left + width, top + height))
            bright = _bright(picture)
            yield Original(number, picture, pdq.quality(bright), _words(variants.listed(bright)))


def _bright(picture: Picture) -> pdq.Matrix:
    return decoding.luminance(decoding.reduced(picture))


def _looked_up(picture: Picture) -> Words:
    return _words(variants.looked_up(_bright(picture)))


def _words(hashes: list[bytes]) -> Words:
    return np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, pdq.HASH_BYTES // 8)


def _distance(some: Words, others: Words) -> int:
    return int(np.bitwise_count(some[:, None] ^ others[None]).sum(axis=2).min())


def _recall(originals: list[Original], asked: list[Words], among: list[Original]) -> dict[str, Any]:
    ways: dict[str, Callable[[Words, Words], int]] = {
        "plain": lambda asks, listed: _distance(asks[:1], listed[:1]),
        "published_list": lambda asks, listed: _distance(asks, listed[:1]),
        "own_list": _distance,
    }
    chosen = {id(each) for each in among}
    pairs = [(a, one.listed) for a, one in zip(asked, originals, strict=True) if id(one) in chosen]
    report: dict[str, Any] = {}
    for name, way in ways.items():
        found = Share(sum(way(asks, listed) <= DISTANCE_MAX for asks, listed in pairs), len(pairs))
        interval = wilson(found)
        report[name] = [found.value, interval.low, interval.high]
    return report


def _false_matches(originals: list[Original], asked: dict[str, list[Words]]) -> dict[str, Any]:
    published = _words(
        [bytes.fromhex(word) for word in (IMAGES / "pdq_index/haystack.txt").read_text().split()]
    )
    nearest: list[int] = []
    compared = false = 0
    for asks in asked.values():
        for original, hashes in list(zip(originals, asks, strict=True))[::EACH]:
            others = [each.listed for each in originals if each.photograph != original.photograph]
            distances = [_distance(hashes, each) for each in others[:: len(others) // 20]]
            distances += np.bitwise_count(hashes[:, None] ^ published[None]).sum(axis=2).min(axis=0).tolist()
            nearest.append(min(distances))
            compared += len(distances)
            false += sum(each <= DISTANCE_MAX for each in distances)
    return {
        "comparisons": compared,
        "false": false,
        "rate_at_most": wilson(Share(false, compared)).high,
        "nearest_bits": min(nearest),
        "nearest_bits_median": median(nearest),
    }


def _cost(plan: Plan) -> dict[str, Any]:
    data = (IMAGES / "pdq_bridge_mods/aaa-orig.jpg").read_bytes()
    random = np.random.default_rng(SEED)
    began = time.process_time()
    index = HashIndex(random.bytes(LISTED * pdq.HASH_BYTES))
    built = time.process_time() - began
    [picture] = decoding.frames(data, "image/jpeg", 64_000_000)
    bright = decoding.luminance(picture.image)
    hashes = variants.looked_up(bright)
    return {
        "decode_ms": _spent(plan, lambda: list(decoding.frames(data, "image/jpeg", 64_000_000))),
        "one_hash_ms": _spent(plan, lambda: pdq.pdq(bright)),
        "all_hashes_ms": _spent(plan, lambda: variants.looked_up(bright)),
        "hashes": len(hashes),
        "index_of_a_million_s": built,
        "lookup_in_a_million_ms": _spent(plan, lambda: index.nearest(hashes, DISTANCE_MAX)),
    }


def _spent(plan: Plan, work: Callable[[], object]) -> float:
    """Milliseconds of processor time, the median."""
    work()  # operators are made once
    times = []
    for _ in range(plan.repetitions):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return median(times) * 1000
