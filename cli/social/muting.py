"""What can be muted, as `mute` and `unmute` take it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click
from folkmoot.cli.errors import Usage
from folkmoot.cli.post_names import parse_post_name
from folkmoot.cli.social.flags import who_argument
from folkmoot.cli.social.threads import ThreadOf
from folkmoot.cli.users.who import Who
from folkmoot.protocol.feed.mute import word_item
from folkmoot.protocol.feed.words import normal_word
from folkmoot.protocol.limits import MUTED_WORD_CODE_POINTS

Command = TypeVar("Command", bound=Callable[..., Any])

Subject = tuple[bytes | Who | ThreadOf, dict[str, Any]]
"""The item of a mute, or whose account or thread it is; and what the body says besides."""


def subject_options(command: Command) -> Command:
    """Give a command WHO, `--word` and `--thread`, of which one may be given; pass it a `subject`."""

    @who_argument
    @click.option("--word", help="A word or phrase instead of an account.")
    @click.option("--thread", metavar="ACCOUNT/ITEM", help="The thread that a post is in.")
    @functools.wraps(command)
    def wrapped(*args: Any, who: Who | None, word: str | None, thread: str | None, **options: Any) -> Any:
        if sum(given is not None for given in (who, word, thread)) > 1:
            raise Usage("give one of WHO, --word and --thread")
        return command(*args, subject=_subject(who, word, thread), **options)

    return wrapped  # type: ignore[no-any-return]  # the same command with its `subject` filled in


def _subject(who: Who | None, word: str | None, thread: str | None) -> Subject | None:
    if who is not None:
        return who, {}
    if thread is not None:
        ref = parse_post_name(thread)
        return ThreadOf(ref["author"], ref["item"]), {}
    if word is None:
        return None
    form = normal_word(word)
    if not 1 <= len(form) <= MUTED_WORD_CODE_POINTS:
        raise Usage(f"--word takes 1 to {MUTED_WORD_CODE_POINTS} characters")
    return word_item(form), {"word": form}
