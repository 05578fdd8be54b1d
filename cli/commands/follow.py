"""`folkmoot follow`: see an account's posts at home."""

from __future__ import annotations

import click
from folkmoot.cli.examples import examples
from folkmoot.cli.social.flags import Speaker, speaker_options, switch, tell, who_argument
from folkmoot.cli.users.who import Who


@click.command(
    epilog=examples(
        "folkmoot follow @marit",
        "folkmoot follow did:key:z6Mk… --key alice.key",
        "folkmoot follow   (whom you follow)",
    )
)
@who_argument
@speaker_options
def command(who: Who | None, speaker: Speaker) -> int:
    """Follow an account, so that its posts are in your home feed.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. Without it, say whom you follow; everybody can
    see that.
    """
    if who is None:
        return tell(speaker, "follow", "you follow nobody")
    return switch(speaker, "follow", who, "following", on=True)
