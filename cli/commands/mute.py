"""`folkmoot mute`: see nothing of an account, a thread or a word, unseen by others."""

from __future__ import annotations

import time
from typing import Final

import click
from folkmoot.cli.durations import Duration
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.social.flags import Speaker, speaker_options, switch, tell
from folkmoot.cli.social.muting import Subject, subject_options
from folkmoot.cli.users.who import Who

TEN_YEARS_S: Final = 10 * 365 * 86_400.0


@click.command(
    epilog=examples(
        "folkmoot mute @loud",
        "folkmoot mute @loud --reposts --for 30d",
        "folkmoot mute --word 'world cup' --for 14d",
        "folkmoot mute --thread did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5",
        "folkmoot mute   (what you mute)",
    )
)
@subject_options
@click.option("--for", "duration_s", type=Duration(1.0, TEN_YEARS_S), help="How long. [default: for ever]")
@click.option("--reposts", is_flag=True, help="Only what the account reposts.")
@speaker_options
def command(subject: Subject | None, duration_s: float | None, reposts: bool, speaker: Speaker) -> int:
    """Mute an account, a word or a thread.

    That is left out of your feeds. WHO is an account (did:key:z6Mk…), a handle, or a key file. Without
    anything to mute, say what you mute. A thread is named by any post in it. Words are found whole, in text,
    warnings, tags and descriptions of pictures. What you mute is private: you and those who run nodes can see
    it, and nobody else.
    """
    if subject is None:
        if reposts or duration_s is not None:
            raise Usage("--for and --reposts need something to mute")
        return tell(speaker, "mute", "you mute nothing")
    item, body = subject
    if reposts:
        if not isinstance(item, Who):
            raise Usage("--reposts needs WHO")
        body["reposts"] = True
    if duration_s is not None:
        body["until"] = time.time_ns() // 1000 + int(duration_s * 1_000_000)
    return switch(speaker, "mute", item, "muting", on=True, **body)
