"""Folders of labelled sets, made from a few rows."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

COMMON = ["rain", "hills", "bread", "lamp", "window", "road", "quiet", "garden", "letter", "boat"]
SIGNS = {"ham": ["tea", "home"], "spam": ["prize", "cash"]}

HATECHECK = ("functionality", "case_id", "test_case", "label_gold")
SPAM = ("row_id", "label", "text")
SURGE = ("row_id", "text", "label")
TEMPLATES = ("row_id", "template", "label", "text")
WIKIPEDIA = ("rev_id", "variant", "toxic", "text")


def write(folder: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write one set, gzipped if its name says so."""
    folder.mkdir(exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    data = text.getvalue().encode()
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def messages(count: int, seed: int) -> list[tuple[int, str, str]]:
    """Rows of a spam set: what is spam says so."""
    random = Random(seed)
    rows = []
    for at in range(count):
        label = random.choice(("ham", "spam"))
        words = random.choices(COMMON, k=6) + random.choices(SIGNS[label], k=2)
        random.shuffle(words)
        rows.append((at, label, f"{' '.join(words)} {seed}-{at}"))
    return rows


def opinions(count: int, seed: int) -> list[tuple[int, str, str]]:
    """Rows of a set of toxic texts: what is toxic calls somebody scum."""
    random = Random(seed)
    words = {"Toxic": "scum", "Not Toxic": "friends"}
    labels = [random.choice(list(words)) for _ in range(count)]
    return [(at, f"they are {words[told]} {random.choice(COMMON)}", told) for at, told in enumerate(labels)]
