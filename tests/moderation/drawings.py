"""Pictures for these tests: made up, each from a number, and as full of shapes as a photograph."""

from __future__ import annotations

import io
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="needs the extra [media]")
Image = pytest.importorskip("PIL.Image", reason="needs the extra [media]")

from folkmoot.node.moderation.media import decoding, variants  # noqa: E402
from folkmoot.node.moderation.media import pdq as ours  # noqa: E402

__all__ = ["Image", "bright", "decoding", "drawing", "np", "ours", "saved", "variants"]


def drawing(seed: int, width: int = 480, height: int = 360) -> Any:
    """A picture in RGB: clouds of several sizes, in colours."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 24):
        noise = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        grown = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(grown, dtype=float) / cells**0.5
    total -= total.min()
    return Image.fromarray((total * 255 / total.max()).astype(np.uint8))


def saved(picture: Any, form: str, **how: Any) -> bytes:
    """Its file."""
    file = io.BytesIO()
    picture.save(file, form, **how)
    return file.getvalue()


def bright(picture: Any) -> Any:
    """How bright it is, as PDQ wants it."""
    return decoding.luminance(picture.convert("RGB"))
