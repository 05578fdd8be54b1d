"""`folkmoot block`: see nothing of an account, and let it see nothing of you."""

from __future__ import annotations

import click
from folkmoot.cli.examples import examples
from folkmoot.cli.social.flags import Speaker, speaker_options, switch, tell, who_argument
from folkmoot.cli.users.who import Who


@click.command(
    epilog=examples(
        "folkmoot block @rude", "folkmoot block did:key:z6Mk… --json", "folkmoot block   (whom you block)"
    )
)
@who_argument
@speaker_options
def command(who: Who | None, speaker: Speaker) -> int:
    """Block an account, so that neither of you is shown the other's posts.

    Nor can it answer or quote yours. WHO is an account (did:key:z6Mk…), a handle, or a key file. Without it,
    say whom you block. That is public, and so are your posts to whoever reads without an account.
    """
    if who is None:
        return tell(speaker, "block", "you block nobody")
    return switch(speaker, "block", who, "blocking", on=True)
