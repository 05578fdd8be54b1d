"""What a picture may have been before it was changed, and what it may become: the hashes of both.

PDQ alone does not survive a border, a strip with a caption, a mirror or a cut at the edges. So more than one
hash is taken of a picture, at either end.

Of what is *looked up*: the picture as it is, in all eight positions; brought to 512 pixels, as pictures that
were made smaller look more like what they were then; without borders and strips of one colour; and with as
much added at its edges as may have been cut off, for lists that hold one hash a picture. What is added
repeats the outermost
row or column: most of what is wrong with that falls above the frequencies that count.

Of what is *listed*: the picture, and what is left of it when some is cut off. Nothing that was cut off can be
guessed as well as it was known. What words are written over, above or below, is left out at both ends.

Each of these is one product of matrices more (see `pdq`): for each side one that takes a stretch of the rows
or columns, adds to it, and brings it to the lowest frequencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from folkmoot.node.moderation.media.pdq import SIDE_MIN, Matrix, hashes, positions, sampling, transform

COMMON_SIDE: Final = 512  # pixels, to which smaller pictures are brought
CUT: Final = 0.05  # of a side: what may have been cut off it

BAND: Final = 0.15  # of the height: where words are written over a picture

_OPERATORS: Final = 2048  # kept: some dozens for each size of picture, 64 KiB each at most
_STRIP_MAX: Final = 0.25  # of the picture: what may be a border or a strip at one side
_BORDER_TOLERANCE: Final = 8.0  # of brightness: what compression does to one colour
_BORDER_SHARE: Final = 0.97  # of a row: what has the border's colour in a border
_BLOCK: Final = 8  # rows, of JPEG
_STRIP_SHARE: Final = 0.5  # … and in a strip on which there are words


class Edges(NamedTuple):
    """What is cut off, or was, at each side: a part of the whole picture."""

    top: float
    bottom: float
    left: float
    right: float


class Frame(NamedTuple):
    """The rows and columns of a picture that count, each from one to the one before another."""

    top: int
    bottom: int
    left: int
    right: int


CUTS: Final = (
    *(Edges(*each) for each in product((0.0, CUT), repeat=4)),
    *(Edges(part, part, part, part) for part in (CUT / 2, CUT * 3 / 4)),
)
"""Nothing, and each choice of sides; and less all around, which is between them."""

BANDS: Final = (Edges(BAND, 0, 0, 0), Edges(0, BAND, 0, 0))
"""What is left out at both ends, because words may stand there."""


def looked_up(luminance: Matrix) -> list[bytes]:
    """The hashes by which a picture is looked up: some three hundred, no two alike, its own first.

    Args:
        luminance: rows × columns, 0 to 255.
    """
    if min(luminance.shape) < SIDE_MIN:
        return []
    whole = Frame(0, luminance.shape[0], 0, luminance.shape[1])
    found = [_as_it_is(luminance)]
    found += [positions(_added(luminance, whole, cut)) for cut in CUTS]
    left = [*frames(luminance), *(_cut(luminance, band) for band in BANDS)]
    found += [positions(_added(luminance, frame, CUTS[0])) for frame in left]
    return _different(hashes(np.concatenate(found)))


def listed(luminance: Matrix) -> list[bytes]:
    """The hashes that stand for a picture in a list, its own first. The argument is as for `looked_up`."""
    if min(luminance.shape) < SIDE_MIN:
        return []
    found = [_as_it_is(luminance)[0]]
    found += [_added(luminance, _cut(luminance, cut), CUTS[0]) for cut in (*CUTS, *BANDS)]
    return _different(hashes(np.stack(found)))


def plain(luminance: Matrix) -> list[bytes]:
    """The hashes of a picture in all eight positions, its own first, and of what is left of it without a
    border; for frames of which there are many."""
    if min(luminance.shape) < SIDE_MIN:
        return []
    found = [_as_it_is(luminance)]
    inner = _within(luminance, _borders(luminance))
    if inner != Frame(0, luminance.shape[0], 0, luminance.shape[1]) and _has_room(inner):
        found.append(positions(_added(luminance, inner, CUTS[0])))
    return _different(hashes(np.concatenate(found)))


def frames(luminance: Matrix) -> list[Frame]:
    """What may be left of a picture without borders and strips; nothing of one that has none."""
    height, width = luminance.shape
    top, bottom, left, right = borders = _borders(luminance)
    candidates = {
        _within(luminance, borders),
        Frame(top, height - bottom, left, width - right),
        Frame(top, height - bottom, 0, width),
        Frame(0, height, left, width - right),
    }
    for strip in _strips(luminance):
        candidates |= {Frame(strip, height, 0, width), Frame(strip, height - bottom, left, width - right)}
    for strip in _strips(luminance[::-1]):
        candidates |= {Frame(0, height - strip, 0, width), Frame(top, height - strip, left, width - right)}
    return sorted(filter(_has_room, candidates - {Frame(0, height, 0, width)}))


def _borders(luminance: Matrix) -> list[int]:
    """How many rows or columns seem to be a border: at the top, at the bottom, on the left, on the right."""
    return [_run(each, _BORDER_SHARE) for each in _sides(luminance)]


def _within(luminance: Matrix, borders: Sequence[int]) -> Frame:
    """What is within such borders, as they are in the picture before it was compressed."""
    top, bottom, left, right = map(_snapped, _sides(luminance), borders)
    return Frame(top, luminance.shape[0] - bottom, left, luminance.shape[1] - right)


def _has_room(frame: Frame) -> bool:
    """Whether something is left; in a narrow picture the borders of both sides may meet."""
    return min(frame.bottom - frame.top, frame.right - frame.left) >= SIDE_MIN


def _sides(luminance: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """A picture as seen from each of its sides: rows or columns, the outermost first."""
    across = luminance.T
    return luminance, luminance[::-1], across, across[::-1]


def _run(rows: Matrix, share: float) -> int:
    """How many rows, from the first on, are mostly of the colour that the first is mostly of."""
    same = _alike(rows) >= share
    return len(same) if same.all() else int(np.argmin(same))


def _snapped(rows: Matrix, end: int) -> int:
    """Where a border that seems to end at a row does: compression blurs the last rows of it.

    At the largest step within the next block of pixels.
    """
    if not end:
        return 0
    steps = np.abs(np.diff(rows[end - 1 : end + _BLOCK], axis=0)).mean(axis=1)
    return end + int(np.argmax(steps))


def _strips(rows: Matrix) -> set[int]:
    """How many rows, from the first on, a strip with words on it may have.

    As far as one colour goes, which is too far where the picture goes on in it; and with as much room beyond
    the first line of words as there is before it.
    """
    strip = _run(rows, _STRIP_SHARE)
    words = np.flatnonzero(_alike(rows)[:strip] < _BORDER_SHARE)
    if not len(words):
        return {strip}
    begins = int(words[0])
    ends = begins + int(np.argmax(np.diff(words, append=strip + 1) > 1))
    return {strip, min(ends + 1 + begins, strip)}


def _alike(rows: Matrix) -> Matrix:
    """What part of each of the outer rows has the colour that most of the first has."""
    outer = rows[: max(int(len(rows) * _STRIP_MAX), 1)]
    like = np.abs(outer - np.median(outer[0])) <= _BORDER_TOLERANCE
    shares: Matrix = like.mean(axis=1, dtype=np.float32)
    return shares


def _as_it_is(luminance: Matrix) -> Matrix:
    """All eight positions, as exactly as though the picture had been turned: 8 × 16 × 16.

    The filter stands half a pixel beside the middle where its window is even, so that signs alone would not
    do.
    """
    rows, columns = (transform() @ sampling(length) for length in luminance.shape)
    upright = [
        down @ luminance @ across.T
        for down in (rows, rows[:, ::-1])
        for across in (columns, columns[:, ::-1])
    ]
    return np.stack([*upright, *(each.T for each in upright)])


def _added(luminance: Matrix, frame: Frame, cut: Edges) -> Matrix:
    """The frequencies of what is in a frame, as though `cut` had been cut off."""
    rows, columns = frame.bottom - frame.top, frame.right - frame.left
    before, after = _lost(rows, cut.top, cut.bottom)
    down = operator(luminance.shape[0], frame.top, frame.bottom, before, after)
    before, after = _lost(columns, cut.left, cut.right)
    across = operator(luminance.shape[1], frame.left, frame.right, before, after)
    return down @ luminance @ across.T


def _lost(length: int, before: float, after: float) -> tuple[int, int]:
    whole = length / (1 - before - after)
    return round(whole * before), round(whole * after)


def _cut(luminance: Matrix, cut: Edges) -> Frame:
    height, width = luminance.shape
    return Frame(
        round(height * cut.top),
        height - round(height * cut.bottom),
        round(width * cut.left),
        width - round(width * cut.right),
    )


@lru_cache(_OPERATORS)
def operator(length: int, first: int, last: int, before: int, after: int) -> Matrix:
    """What brings a stretch of pixels, and what is added to it, to the lowest frequencies: 16 × length.

    Args:
        length: of the row or column, in pixels.
        first, last: the stretch.
        before, after: how often its first and last pixel are repeated.
    """
    stretch = last - first + before + after
    side = max(stretch, COMMON_SIDE)
    taken = transform() @ sampling(side) @ _stretched(stretch, side)
    placed = np.zeros((len(taken), length), dtype=np.float32)
    at = first + np.clip(np.arange(-before, last - first + after), 0, last - first - 1)
    np.add.at(placed.T, at, taken.T)
    return placed


def _stretched(length: int, side: int) -> Matrix:
    """What brings so many pixels to more of them, by lines between their middles: side × length."""
    at = (np.arange(side) + 0.5) * length / side - 0.5
    low = np.floor(at).astype(int)
    share = at - low
    matrix = np.zeros((side, length), dtype=np.float32)
    rows = np.arange(side)
    np.add.at(matrix, (rows, np.clip(low, 0, length - 1)), 1 - share)
    np.add.at(matrix, (rows, np.clip(low + 1, 0, length - 1)), share)
    return matrix


def _different(found: Iterable[bytes]) -> list[bytes]:
    return list(dict.fromkeys(found))
