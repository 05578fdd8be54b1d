"""Policy documents from files."""

from __future__ import annotations

from pathlib import Path

from folkmoot.node.configuration.toml_source import TomlSource, TomlSyntaxError
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.matchers import DIALECT
from folkmoot.protocol.limits import POLICY_BYTES
from folkmoot.protocol.moderation.policy import PolicyDocument, PolicyError, policy_hash, read_policy


def read_policy_bytes(file: Path) -> bytes:
    """The bytes of a policy file.

    Raises:
        PolicyError: it cannot be read, or is larger than any policy may be.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(POLICY_BYTES + 1)
    except OSError as error:
        raise PolicyError([f"{file}: cannot be read: {error.strerror}; check gate.policy"]) from error
    if len(data) > POLICY_BYTES:
        raise PolicyError([f"{file}: larger than {POLICY_BYTES} bytes, which is the most a policy may be"])
    return data


def parse_policy(file: Path, data: bytes) -> PolicyDocument:
    """Read and validate the bytes of a policy file.

    Args:
        file: its path, as problems should show it.
        data: its contents.

    Raises:
        PolicyError: with every problem found.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyError([f"{file}:{line}: not UTF-8, which TOML must be"]) from error
    try:
        source = TomlSource(file, text)
    except TomlSyntaxError as error:
        raise PolicyError([str(error)]) from error
    except RecursionError as error:
        raise PolicyError([f"{file}: nested too deeply to be a policy"]) from error
    return read_policy(source.data, source.locate, hash=policy_hash(data), dialect=DIALECT)


def load_engine(file: Path) -> PolicyEngine:
    """Everything from the path to an engine that judges.

    Raises:
        PolicyError: with every problem found.
    """
    return PolicyEngine(parse_policy(file, read_policy_bytes(file)))
