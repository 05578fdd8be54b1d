"""Policy documents from files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_layers import parse_policy, read_policy_bytes
from folkmoot.node.moderation.scorers import Scorers, model_files

State = tuple[int, int, int] | None
"""Of a file: when it changed, its size and its number; None when it is not there."""

Signature = tuple[tuple[Path, State], ...]


class PolicyFiles:
    """The files of a policy: its own, those it names, and those of its models.

    Args:
        file: the policy.
        models: where the node's own models lie, besides those beside the policy.
        region: where the node stands, whose layer judges.
    """

    def __init__(self, file: Path, models: Path | None = None, region: str = "") -> None:
        self._looked_at: dict[Path, State] = {}
        self._file = file
        self._region = region
        self._folders = [file.parent] if models is None else [file.parent, models]

    @property
    def signature(self) -> Signature:
        """What they looked like before they were read, as far as `load` came."""
        return tuple(self._looked_at.items())

    def load(self) -> PolicyEngine:
        """Everything from the path to an engine that judges.

        Raises:
            PolicyError: with every problem found.
        """
        document = parse_policy(self._file, self._read(self._file), read=self._read, region=self._region)
        self._looked_at.update(signature_of(model_files(document, self._folders)))
        return PolicyEngine(document, Scorers(document, self._folders))

    def _read(self, layer: Path) -> bytes:
        self._looked_at.update(signature_of((layer,)))
        return read_policy_bytes(layer)


class Watched:
    """Tells a file that changed and came to rest from one that is still being written.

    Attributes:
        settled: the signature of what was loaded, or tried, last.
    """

    def __init__(self) -> None:
        self.settled: Signature = ()
        self._before: Signature = ()

    def files(self, file: Path) -> list[Path]:
        """What is to be looked at: the policy's file, and what it had last to do with."""
        return list(dict.fromkeys((file, *(each for each, _state in self.settled))))

    def changed(self, signature: Signature) -> bool:
        """Whether the file differs from what was loaded and looked the same when last asked."""
        rested = signature == self._before
        self._before = signature
        return rested and signature != self.settled


def load_engine(file: Path, models: Path | None = None, region: str = "") -> PolicyEngine:
    """See `PolicyFiles`, and its `load`."""
    return PolicyFiles(file, models, region).load()


def signature_of(files: Iterable[Path]) -> Signature:
    """What files look like from outside, by which it is told whether they changed."""
    return tuple((file, _state(file)) for file in files)


def _state(file: Path) -> State:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
