"""PDQ: 256 bits of a picture that hardly change when it is saved anew, resized or blurred.

A picture is brought to 64 × 64 values of brightness, by a tent filter and every so many rows and columns, and
these to the 16 × 16 lowest frequencies of a cosine transform, the constant one left out. A bit says whether a
frequency is above the median of all of them. Two pictures are taken for the same when at most 31 bits differ.

All of this up to the median is linear, and the rows and columns are treated alike and by themselves. So it is
two
products of matrices: `P · L · Qᵀ`, where L is the picture, and P and Q stand for filter, choice of rows and
transform at once. What is cut off, or stands around a picture, is a matrix as well, which is why many
variants of one picture cost little more than one (`variants`). And turning or mirroring a picture changes
signs of frequencies, or exchanges rows for columns, so its eight positions come from one transform.

Source: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook, 2019), part on
PDQ, whose reference implementation says how windows and edges are rounded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.floating[Any]]

HASH_BYTES: Final = 32
QUALITY_MAX: Final = 100
SIDE_MIN: Final = 5  # pixels; nothing can be said of a picture that is smaller

_SAMPLES: Final = 64
_FREQUENCIES: Final = 16
_PASSES: Final = 2  # of a box filter: a tent
_QUALITY_PER: Final = 90  # of the sum of gradients, so that a good picture has 100
_OPERATORS: Final = 256  # kept: a few per size of picture
_ODD: Final = np.array([-1.0, 1.0] * (_FREQUENCIES // 2), dtype=np.float32)  # frequencies begin with 1


@lru_cache(_OPERATORS)
def sampling(length: int) -> Matrix:
    """What brings a row or column of so many pixels to 64 samples: 64 × length."""
    if length == _SAMPLES:
        return np.eye(_SAMPLES, dtype=np.float32)
    window = -(-length // (2 * _SAMPLES))
    before = window - (window + 2) // 2
    starts = np.maximum(np.arange(length) - before, 0)
    stops = np.minimum(np.arange(length) - before + window, length)
    at = np.arange(length)
    box = ((starts[:, None] <= at) & (at < stops[:, None])) / (stops - starts)[:, None]
    chosen = ((np.arange(_SAMPLES) + 0.5) * length / _SAMPLES).astype(int)
    passes = box[chosen]
    for _ in range(_PASSES - 1):
        passes = passes @ box
    sampled: Matrix = passes.astype(np.float32)
    return sampled


@lru_cache(1)
def transform() -> Matrix:
    """The cosine transform of 64 samples, frequencies 1 to 16: 16 × 64."""
    frequency = np.arange(1, _FREQUENCIES + 1)[:, None]
    sample = 2 * np.arange(_SAMPLES) + 1
    scale = np.sqrt(2 / _SAMPLES)
    cosines: Matrix = scale * np.cos(np.pi / (2 * _SAMPLES) * frequency * sample)
    return cosines.astype(np.float32)


def quality(luminance: Matrix) -> int:
    """How much there is to tell a picture by, 0 (nothing) to 100; below 50 its hash says little.

    Args:
        luminance: rows × columns, 0 to 255.
    """
    if min(luminance.shape) < SIDE_MIN:
        return 0
    samples = sampling(luminance.shape[0]) @ luminance @ sampling(luminance.shape[1]).T
    steps = (np.diff(samples, axis=axis) * 100 / 255 for axis in (0, 1))
    total = sum(int(np.abs(step.astype(int)).sum()) for step in steps)
    return min(total // _QUALITY_PER, QUALITY_MAX)


def positions(frequencies: Matrix) -> Matrix:
    """The frequencies of a picture in all eight positions, itself first: 8 × 16 × 16.

    Args:
        frequencies: of the picture, 16 × 16.
    """
    upright = [
        frequencies * rows[:, None] * columns
        for rows in (np.abs(_ODD), _ODD)
        for columns in (np.abs(_ODD), _ODD)
    ]
    return np.stack([*upright, *(each.T for each in upright)])


def hashes(frequencies: Matrix) -> list[bytes]:
    """The hash for each of some tables of frequencies.

    Args:
        frequencies: so many × 16 × 16.

    Returns:
        32 bytes each, the last frequency in the first bit, as its usual form in hex has it.
    """
    flat = frequencies.reshape(len(frequencies), -1)
    half = flat.shape[1] // 2
    median = np.partition(flat, half - 1, axis=1)[:, half - 1]  # the lower of the two in the middle
    bits = np.packbits(flat[:, ::-1] > median[:, None], axis=1)
    return [row.tobytes() for row in bits]


def pdq(luminance: Matrix) -> tuple[bytes, int]:
    """The hash of a picture as it is, and its quality.

    Args:
        luminance: rows × columns, 0 to 255.
    """
    if min(luminance.shape) < SIDE_MIN:
        return bytes(HASH_BYTES), 0
    rows, columns = (transform() @ sampling(length) for length in luminance.shape)
    [found] = hashes((rows @ luminance @ columns.T)[None])
    return found, quality(luminance)
