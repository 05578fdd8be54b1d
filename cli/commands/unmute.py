"""`folkmoot unmute`: mute something no more."""

from __future__ import annotations

import click
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.social.flags import Speaker, speaker_options, switch
from folkmoot.cli.social.muting import Subject, subject_options


@click.command(
    epilog=examples(
        "folkmoot unmute @loud",
        "folkmoot unmute --word 'world cup'",
        "folkmoot unmute --thread did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5",
    )
)
@subject_options
@speaker_options
def command(subject: Subject | None, speaker: Speaker) -> int:
    """Mute an account, a word or a thread no more.

    WHO is an account (did:key:z6Mk…), a handle, or a key file.
    """
    if subject is None:
        raise Usage("give WHO, --word or --thread", hint="folkmoot mute, to see what you mute")
    item, body = subject
    return switch(speaker, "mute", item, "not muting", on=False, **body)
