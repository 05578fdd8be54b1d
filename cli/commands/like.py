"""`folkmoot like`: say that you like a post."""

from __future__ import annotations

import click
from folkmoot.cli.examples import examples
from folkmoot.cli.social.flags import Speaker, speaker_options
from folkmoot.cli.social.reacting import react


@click.command(
    epilog=examples(
        "folkmoot like did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5",
        "folkmoot like did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 --remove",
    )
)
@click.argument("post", metavar="ACCOUNT/ITEM")
@click.option("--remove", is_flag=True, help="Take it back.")
@speaker_options
def command(post: str, remove: bool, speaker: Speaker) -> int:
    """Like a post, named as `feed` shows it.

    Its author is told, and everybody can see it.
    """
    return react(speaker, "like", post, "no like of" if remove else "liked", on=not remove)
