"""`folkmoot unfollow`: follow an account no more."""

from __future__ import annotations

import click
from folkmoot.cli.examples import examples
from folkmoot.cli.social.flags import Speaker, speaker_options, switch
from folkmoot.cli.users.who import Who, WhoType


@click.command(epilog=examples("folkmoot unfollow @marit", "folkmoot unfollow did:key:z6Mk… --json"))
@click.argument("who", type=WhoType())
@speaker_options
def command(who: Who, speaker: Speaker) -> int:
    """Follow an account no more.

    WHO is an account (did:key:z6Mk…), a handle, or a key file.
    """
    return switch(speaker, "follow", who, "not following", on=False)
