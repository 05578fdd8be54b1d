"""PDQ: as others compute it, and as pictures change."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.moderation.drawings import Image, bright, decoding, drawing, np, ours, saved, variants

THRESHOLD = 31


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def nearest(some: list[bytes], others: list[bytes]) -> int:
    words = [np.frombuffer(b"".join(each), dtype=np.uint64).reshape(-1, 4) for each in (some, others)]
    return int(np.bitwise_count(words[0][:, None] ^ words[1][None]).sum(axis=2).min())


def test_the_published_hashes_are_met_within_twelve_bits(shared_data: Callable[[str], Path]) -> None:
    with shared_data("images/pdq_reference_hashes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 19
    for row in rows:
        path, mime = shared_data(row["file"]), {".jpg": "image/jpeg", ".png": "image/png"}
        picture = next(decoding.frames(path.read_bytes(), mime[path.suffix], 64_000_000))
        found, quality = ours.pdq(decoding.luminance(picture.image))
        assert distance(found, bytes.fromhex(row["pdq_hash_hex"])) <= 12, row["file"]
        assert quality == (0 if row["file"].endswith("small.jpg") else 100)


@pytest.mark.parametrize("size", [(480, 360), (64, 64), (5, 9), (129, 128), (700, 51)])
def test_the_reference_implementation_says_the_same_bit_for_bit(size: tuple[int, int]) -> None:
    pdqhash = pytest.importorskip("pdqhash", reason="the reference implementation (pdqhash) is not installed")
    picture = drawing(7, *size)
    bits, quality = pdqhash.compute(np.asarray(picture))
    found = ours.pdq(bright(picture))
    assert distance(found[0], np.packbits(bits).tobytes()) <= 2, "nothing but rounding"
    assert found[1] == quality


def test_the_reference_implementation_turns_pictures_the_same_way() -> None:
    pdqhash = pytest.importorskip("pdqhash", reason="the reference implementation (pdqhash) is not installed")
    picture = drawing(8)
    vectors, _ = pdqhash.compute_dihedral(np.asarray(picture))
    rows, columns = (ours.transform() @ ours.sampling(side) for side in bright(picture).shape)
    mine = ours.hashes(ours.positions(rows @ bright(picture) @ columns.T))
    theirs = [np.packbits(each).tobytes() for each in vectors]
    assert all(nearest([each], mine) <= 2 for each in theirs)
    assert all(nearest([each], theirs) <= 2 for each in mine)


def test_narrow_pictures_with_borders_have_hashes_too() -> None:
    random = np.random.default_rng(1)
    for width in range(5, 40):
        narrow = np.full((60, width), 7.0, dtype=np.float32)
        inside = width // 4
        narrow[:, inside : width - inside] = 7 + random.integers(0, 9, (60, width - 2 * inside))
        narrow[:, width // 2] = 255
        for picture in (narrow, narrow.T):
            for make in (variants.looked_up, variants.plain, variants.listed):
                assert len(make(picture)) > 0, (make, picture.shape)


def test_a_picture_of_one_colour_says_nothing_and_a_tiny_one_has_no_hashes() -> None:
    flat = np.full((40, 40), 128, dtype=np.float32)
    assert ours.quality(flat) == 0
    tiny = flat[:4]
    assert ours.pdq(tiny) == (bytes(32), 0)
    assert variants.looked_up(tiny) == variants.listed(tiny) == []


CHANGES: dict[str, Callable[[Any], Any]] = {
    "saved badly": lambda one: Image.open(io.BytesIO(saved(one, "JPEG", quality=10))),
    "half as large": lambda one: one.resize((one.width // 2, one.height // 2)),
    "grey": lambda one: one.convert("L"),
    "brighter": lambda one: one.point(lambda value: min(255, value + 30)),
    "mirrored": lambda one: one.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda one: one.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned": lambda one: one.transpose(Image.Transpose.ROTATE_90),
    "turned the other way": lambda one: one.transpose(Image.Transpose.ROTATE_270),
    "in a white frame": lambda one: framed(one, 24, 24, 24, 24),
    "under a strip": lambda one: framed(one, 0, 0, 40, 0),
    "over a strip with words": lambda one: worded(framed(one, 0, 0, 0, 40)),
    "cut at all sides": lambda one: cut(one, 0.05, 0.05, 0.05, 0.05),
    "cut at one corner": lambda one: cut(one, 0.05, 0.05, 0, 0),
    "cut at the bottom": lambda one: cut(one, 0, 0, 0, 0.05),
    "cut a little": lambda one: cut(one, 0.02, 0.02, 0.03, 0.02),
}


@cache
def listed_one() -> list[bytes]:
    return variants.listed(bright(drawing(1)))


def framed(picture: Any, left: int, right: int, top: int, bottom: int) -> Any:
    page = Image.new("RGB", (picture.width + left + right, picture.height + top + bottom), "white")
    page.paste(picture, (left, top))
    return page


def worded(picture: Any) -> Any:
    """Black bars where words would be, in the lowest 40 rows."""
    for at in range(60, 300, 40):
        picture.paste("black", (at, picture.height - 26, at + 18, picture.height - 14))
    return picture


def cut(picture: Any, left: float, top: float, right: float, bottom: float) -> Any:
    width, height = picture.size
    return picture.crop(
        (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
    )


@pytest.mark.parametrize("change", CHANGES)
def test_a_listed_picture_is_found_after_it_was(change: str) -> None:
    found = variants.looked_up(bright(CHANGES[change](drawing(1))))
    assert nearest(found, listed_one()) <= THRESHOLD


def test_a_single_hash_finds_what_was_framed_or_cut_a_little() -> None:
    known = [ours.pdq(bright(drawing(3)))[0]]
    for change in (framed(drawing(3), 30, 30, 30, 30), cut(drawing(3), 0, 0.05, 0, 0)):
        assert distance(ours.pdq(bright(change))[0], known[0]) > THRESHOLD, "PDQ alone does not"
        assert nearest(variants.looked_up(bright(change)), known) <= THRESHOLD


def test_other_pictures_are_far_away() -> None:
    listed = [variants.listed(bright(drawing(seed))) for seed in range(4)]
    for seed in range(4):
        found = variants.looked_up(bright(drawing(seed)))
        others = [each for other, some in enumerate(listed) if other != seed for each in some]
        assert nearest(found, others) > 2 * THRESHOLD
