"""`folkmoot bookmark`: keep a post's name, for oneself."""

from __future__ import annotations

import click
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.post_names import parse_post_name
from folkmoot.cli.social.flags import Speaker, speaker_options, switch, tell


@click.command(
    epilog=examples(
        "folkmoot bookmark did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5",
        "folkmoot bookmark did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 --remove",
        "folkmoot bookmark   (your bookmarks)",
    )
)
@click.argument("post", metavar="[ACCOUNT/ITEM]", required=False)
@click.option("--remove", is_flag=True, help="Take the bookmark away.")
@speaker_options
def command(post: str | None, remove: bool, speaker: Speaker) -> int:
    """Bookmark a post, named as `feed` shows it.

    Without a post, list your bookmarks. They are private: only you, and those who run nodes, can see them.
    """
    if post is None:
        if remove:
            raise Usage("--remove needs a post")
        return tell(speaker, "bookmark", "you have no bookmarks")
    ref = parse_post_name(post)
    verb = "no bookmark of" if remove else "bookmarked"
    return switch(speaker, "bookmark", ref["author"] + ref["item"], verb, on=not remove)
