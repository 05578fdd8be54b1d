"""Texts for tests of models, made from a seed: what is bad says so in words, mostly."""

from __future__ import annotations

from random import Random

from folkmoot.node.moderation.reading import buckets
from folkmoot.protocol.moderation.text.learning import Judged

COMMON = ["the", "rain", "came", "over", "hills", "and", "we", "walked", "home", "with", "bread", "tea"]
BAD = ["vermin", "scum", "rotten", "filth"]
RUDE = ["daft", "silly", "clumsy"]
WORDS = (COMMON, RUDE, BAD)


def sentences(count: int, classes: int, seed: int, mistaken: float = 0.0) -> list[tuple[str, int]]:
    """Texts with the class they are said to be in, which is another than they are for a share of them."""
    random = Random(seed)
    made = []
    for _ in range(count):
        label = random.choices(range(classes), [6, 3, 1][:classes])[0]
        words = random.choices(COMMON, k=7) + random.choices(WORDS[label if classes > 2 else 2 * label], k=2)
        random.shuffle(words)
        told = random.randrange(classes) if random.random() < mistaken else label
        made.append((" ".join(words), told))
    return made


def judged(count: int, classes: int, seed: int, mistaken: float = 0.0) -> list[Judged]:
    """The same as models learn from it."""
    made = sentences(count, classes, seed, mistaken)
    return [Judged(buckets(text), label, group) for group, (text, label) in enumerate(made)]
