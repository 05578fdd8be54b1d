"""Policy documents from files."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from folkmoot.node.configuration.toml_source import TomlSource, TomlSyntaxError
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.matchers import DIALECT
from folkmoot.node.moderation.scorers import Scorers, model_files
from folkmoot.protocol.limits import POLICY_BYTES
from folkmoot.protocol.moderation.bounds import POLICY_LAYERS
from folkmoot.protocol.moderation.policy import PolicyDocument, PolicyError, policy_hash
from folkmoot.protocol.moderation.policy_reading import read_policy

Read = Callable[[Path], bytes]
State = tuple[int, int, int] | None
"""Of a file: when it changed, its size and its number; None when it is not there."""

Signature = tuple[tuple[Path, State], ...]

_BESIDE: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def read_policy_bytes(file: Path) -> bytes:
    """The bytes of a policy file.

    Raises:
        PolicyError: it cannot be read, or is larger than any policy may be.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise PolicyError([f"{file}: is no regular file, and reading it might never end"])
        with file.open("rb") as stream:
            data = stream.read(POLICY_BYTES + 1)
    except OSError as error:
        raise PolicyError([f"{file}: cannot be read: {error.strerror}; check gate.policy"]) from error
    if len(data) > POLICY_BYTES:
        raise PolicyError([f"{file}: larger than {POLICY_BYTES} bytes, which is the most a policy may be"])
    return data


def parse_policy(file: Path, data: bytes, *, read: Read = read_policy_bytes) -> PolicyDocument:
    """Read and validate the bytes of a policy file, and of those that it extends.

    Args:
        file: its path, as problems should show it.
        data: its contents.
        read: gives the bytes of another policy file, beside this one.

    Raises:
        PolicyError: with every problem found.
    """
    return _parse(file, data, read, ())


def _parse(file: Path, data: bytes, read: Read, narrower: tuple[Path, ...]) -> PolicyDocument:
    source = _source(file, data)
    wider = source.data.get("extends")
    below = None
    if wider is not None:
        where = source.locate(("extends",))
        if not isinstance(wider, str) or not _BESIDE.fullmatch(wider):
            raise PolicyError([f"{where}: extends is the name of a file in the same folder"])
        if len(narrower) + 1 >= POLICY_LAYERS or (wide := file.with_name(wider)) in (file, *narrower):
            raise PolicyError([f"{where}: {wider} is here already, or one layer more than {POLICY_LAYERS}"])
        below = _parse(wide, read(wide), read, (*narrower, file))
    return read_policy(source.data, source.locate, hash=policy_hash(data), dialect=DIALECT, below=below)


def _source(file: Path, data: bytes) -> TomlSource:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyError([f"{file}:{line}: not UTF-8, which TOML must be"]) from error
    try:
        return TomlSource(file, text)
    except TomlSyntaxError as error:
        raise PolicyError([str(error)]) from error
    except RecursionError as error:
        raise PolicyError([f"{file}: nested too deeply to be a policy"]) from error


def parse_whole(file: Path, data: bytes) -> PolicyDocument:
    """Read and validate a policy for all nodes: one document, which extends nothing, for nodes have no more.

    Args:
        file: what it is called, as problems should show it.
        data: its contents.

    Raises:
        PolicyError: with every problem found.
    """

    def refuse(wider: Path) -> bytes:
        said = f"{file}: extends {wider.name}, which nodes do not have; put what it says into one document"
        raise PolicyError([said])

    return parse_policy(file, data, read=refuse)


class PolicyFiles:
    """The files of a policy: its own, those it extends, and those of its models.

    Args:
        file: the policy.
        models: where the node's own models lie, besides those beside the policy.
    """

    def __init__(self, file: Path, models: Path | None = None) -> None:
        self._looked_at: dict[Path, State] = {}
        self._file = file
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
        document = parse_policy(self._file, self._read(self._file), read=self._read)
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


def load_engine(file: Path, models: Path | None = None) -> PolicyEngine:
    """See `PolicyFiles.load`."""
    return PolicyFiles(file, models).load()


def signature_of(files: Iterable[Path]) -> Signature:
    """What files look like from outside, by which it is told whether they changed."""
    return tuple((file, _state(file)) for file in files)


def _state(file: Path) -> State:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
