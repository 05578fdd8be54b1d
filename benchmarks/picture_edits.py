"""What people do to pictures before they send them again, for measuring whether they are found then."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Picture = Image.Image
Edit = Callable[[Picture], Picture]

WORDS: Final = "when the bus is late again"


def saved_again(picture: Picture, quality: int) -> Picture:
    """As JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def smaller(picture: Picture, times: int) -> Picture:
    return picture.resize((picture.width // times, picture.height // times))


def brighter(picture: Picture, times: float) -> Picture:
    return ImageEnhance.Brightness(picture).enhance(times)


def framed(picture: Picture, share: float, colour: str) -> Picture:
    return ImageOps.expand(picture, round(min(picture.size) * share), colour)


def cut(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    """Without so much of it at each side."""
    width, height = picture.size
    right_at, bottom_at = round(width * (1 - right)), round(height * (1 - bottom))
    return picture.crop((round(width * left), round(height * top), right_at, bottom_at))


def captioned(picture: Picture) -> Picture:
    """Over a white strip with words in it, an eighth of its height."""
    width, height = picture.size
    strip = height // 8
    page = Image.new("RGB", (width, height + strip), "white")
    page.paste(picture, (0, 0))
    _write(page, (width // 2, height + strip // 2), height // 14, "black", 0)
    return page


def written_on(picture: Picture) -> Picture:
    """With words across it at the bottom."""
    page, size = picture.copy(), picture.height // 14
    _write(page, (picture.width // 2, picture.height - size), size, "white", max(1, size // 12))
    return page


def _write(page: Picture, at: tuple[int, int], size: int, colour: str, stroke: int) -> None:
    font = ImageFont.load_default(max(8, size))
    drawing = ImageDraw.Draw(page)
    drawing.text(at, WORDS, colour, font, "mm", stroke_width=stroke, stroke_fill="black")


EDITS: Final[dict[str, Edit]] = {
    "JPEG, quality 10": lambda one: saved_again(one, 10),
    "JPEG, quality 50": lambda one: saved_again(one, 50),
    "half as wide and high": lambda one: smaller(one, 2),
    "a quarter as wide and high": lambda one: smaller(one, 4),
    "blurred, radius 2": lambda one: one.filter(ImageFilter.GaussianBlur(2)),
    "grey": lambda one: one.convert("L").convert("RGB"),
    "brightness × 0.7": lambda one: brighter(one, 0.7),
    "brightness × 1.3": lambda one: brighter(one, 1.3),
    "brightness × 1.5": lambda one: brighter(one, 1.5),
    "white border, 5 %": lambda one: framed(one, 0.05, "white"),
    "black border, 10 %": lambda one: framed(one, 0.10, "black"),
    "blue border, 5 %, JPEG": lambda one: saved_again(framed(one, 0.05, "#1e5aa0"), 60),
    "caption below, in a strip": captioned,
    "caption written across": written_on,
    "cut by 2.5 % at each side": lambda one: cut(one, 0.025, 0.025, 0.025, 0.025),
    "cut by 5 % at each side": lambda one: cut(one, 0.05, 0.05, 0.05, 0.05),
    "cut by 5 % at one side": lambda one: cut(one, 0.05, 0, 0, 0),
    "cut by 5 % at two sides": lambda one: cut(one, 0.05, 0.05, 0, 0),
    "cut by 4 % at each side, JPEG": lambda one: saved_again(cut(one, 0.04, 0.04, 0.04, 0.04), 50),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "turned by 90°": lambda one: one.transpose(Image.Transpose.ROTATE_90),
}

BEYOND: Final[dict[str, Edit]] = {
    "turned by 5°": lambda one: one.rotate(5),
    "cut by 10 % at each side": lambda one: cut(one, 0.1, 0.1, 0.1, 0.1),
}
"""What is not claimed to be found."""
