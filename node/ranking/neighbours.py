"""Semantic neighbours: how near in meaning posts are to what a reader writes. Needs the extra `[embed]`.

Texts become vectors by a small model that comes with the library (WordLlama, 256 dimensions; no network, no
graphics card), and nearness is the cosine of the angle between two. The model takes about 110 MB of memory
and is loaded when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from folkmoot.node.environment import Executor
from folkmoot.protocol.errors import NOT_FOUND, WireError

_CHARACTERS: Final = 300  # of a text, its beginning; the time it takes grows with them
_LEAST_NORM: Final = 1e-6  # a text of no known words has the vector of nothing
_DECIMALS: Final = 3


class Neighbours:
    """See the module.

    Args:
        executor: where the model works.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def nearness(self, own: Sequence[str], texts: Sequence[str]) -> list[float]:
        """How near each text is to the nearest of the reader's own: from 0 (not at all) to 1 (the same).

        Raises:
            WireError: `not_found`: the extra is not installed.
        """
        return await self._executor.run(lambda: _nearness(own, texts))


def _nearness(own: Sequence[str], texts: Sequence[str]) -> list[float]:
    loaded = model()
    if not own or not texts:
        return [0.0] * len(texts)
    cosines = _vectors(loaded, texts) @ _vectors(loaded, own).T
    return [max(0.0, min(1.0, round(float(each), _DECIMALS))) for each in cosines.max(axis=1)]


def _vectors(model: Any, texts: Sequence[str]) -> Any:
    """Vectors of length 1, a row a text."""
    import numpy as np

    vectors = model.embed([text[:_CHARACTERS] for text in texts])
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _LEAST_NORM)


@lru_cache(maxsize=1)
def model() -> Any:
    """The model, loaded once.

    Raises:
        WireError: `not_found`: the extra is not installed.
    """
    try:
        import wordllama
    except ImportError:
        raise WireError(
            NOT_FOUND,
            "the source similar needs the extra [embed], which this node does not have: "
            "pip install 'folkmoot[embed]'",
        ) from None
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
