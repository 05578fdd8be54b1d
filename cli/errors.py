"""How an error becomes one sentence, the next command to try, and an exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import click
from folkmoot.cli import exit_codes
from folkmoot.node.standing.lives import NameTaken, NodeCloned
from folkmoot.protocol import errors as wire
from folkmoot.protocol.errors import FolkmootError, WireError

_DEGRADED_KINDS = (
    wire.LEVEL_UNREACHABLE,
    wire.NOT_YET,
    wire.BUSY,
    wire.DISK_FULL,
    wire.TIMEOUT,
    wire.NO_QUORUM,
    wire.UNCERTAIN,
)
_NO_COMMAND = "Missing command."  # as click says it where options stand alone


class OperatorError(FolkmootError):
    """A command cannot do what was asked.

    Args:
        message: one sentence: what, where.
        hint: the next command or step to try.
        exit_code: see `exit_codes`.
        details: facts for `--json`.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        exit_code: int = exit_codes.FAILED,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code
        self.details = details or {}


class Usage(OperatorError):
    """The words of the command line make no sense where they are used; nothing was done."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, exit_code=exit_codes.USAGE)


class Unreachable(OperatorError):
    """No node answered at any of the addresses."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, exit_code=exit_codes.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a person or a program should see it.

    Args:
        name: stable, for programs.
        message: for people.
        exit_code: see `exit_codes`.
        hint: the next command or step to try.
        details: facts for `--json`.
        by_a_node: whether the message is what a node, which nobody vouches for, has said.
        help: what a person is shown before the message, in place of the hint.
    """

    name: str
    message: str
    exit_code: int
    hint: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    by_a_node: bool = False
    help: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object printed on standard output with `--json`."""
        plain: dict[str, Any] = {"name": self.name, "message": self.message, "exit_code": self.exit_code}
        if self.hint is not None:
            plain["hint"] = self.hint
        return {"error": plain | self.details}


def describe(error: BaseException) -> Failure | None:
    """What to say of `error`; None when it is a bug and wants its traceback.

    A group of errors is described by its first describable member: the others are its consequences.
    """
    match error:
        case BaseExceptionGroup() if error.subgroup(KeyboardInterrupt) is not None:
            # Whatever else broke did so on the way out.
            return describe(KeyboardInterrupt())
        case BaseExceptionGroup():
            described = [describe(member) for member in error.exceptions]
            return None if None in described else described[0]
        case OperatorError():
            name = type(error).__name__
            return Failure(_snake(name), str(error), error.exit_code, error.hint, error.details)
        case WireError():
            code = exit_codes.DEGRADED if error.kind in _DEGRADED_KINDS else exit_codes.FAILED
            details = _wire_details(error)
            return Failure(error.kind.name, error.message, code, details=details, by_a_node=True)
        case NodeCloned() | NameTaken():
            return Failure(_snake(type(error).__name__), str(error), exit_codes.REFUSED, "folkmoot doctor")
        case FolkmootError():
            problems = getattr(error, "problems", None)
            details = {} if problems is None else {"problems": list(problems)}
            return Failure(_snake(type(error).__name__), str(error), exit_codes.FAILED, details=details)
        case click.exceptions.NoArgsIsHelpError():
            context = error.ctx
            assert context is not None, "it is raised by a command that was found"
            named = f"{context.command_path} --help"
            return Failure("usage", _NO_COMMAND, exit_codes.USAGE, named, help=context.get_help())
        case click.UsageError():
            hint = f"{error.ctx.command_path} --help" if error.ctx is not None else None
            return Failure("usage", error.format_message(), exit_codes.USAGE, hint)
        case click.ClickException():
            return Failure("failed", error.format_message(), exit_codes.FAILED)
        case KeyboardInterrupt() | click.Abort():
            return Failure("interrupted", "interrupted", exit_codes.INTERRUPTED)
        case UnicodeEncodeError():
            return Failure("usage", f"{error.object[:80]!r} is not text in UTF-8", exit_codes.USAGE)
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return Failure("system", f"{place}{error.strerror or error}", exit_codes.FAILED)
    return None


def _wire_details(error: WireError) -> dict[str, Any]:
    plain = error.to_wire()
    return {key: plain[key] for key in ("code", "retryable", "retry_after_ms", "details") if key in plain}


def _snake(name: str) -> str:
    """`ConfigError` as `config_error`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
