"""`folkmoot user searchable`: whether what an account posts can be found by its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
from folkmoot.cli.connection import converse
from folkmoot.cli.examples import examples
from folkmoot.cli.social.flags import Speaker, speaker_options
from folkmoot.cli.social.own_key import own_key
from folkmoot.cli.social.writing import Stated, Statement, report_stated, state
from folkmoot.protocol.search.documents import SEARCHABLE

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_SAID: Final = {
    True: "your posts can be found by their words",
    False: "your posts are found by their words no more, once every node has heard of it",
}


@click.command(
    "searchable",
    epilog=examples("folkmoot user searchable off", "folkmoot user searchable on --key alice.key --json"),
)
@click.argument("switch", type=click.Choice(("on", "off")))
@speaker_options
def searchable_command(switch: str, speaker: Speaker) -> int:
    """Have what you post be found by its words, as it is unless you say so, or not.

    It is a field of your profile, signed and for everybody to read. Posts can still be read where they stand:
    in your own feed, in home feeds, threads and under tags.
    """
    on = switch == "on"
    signer = own_key(speaker.key_file, speaker.output)

    async def talk(client: Client) -> Stated:
        return await state(client, signer, Statement("profile", SEARCHABLE, {"value": on}), speaker.level)

    return report_stated(speaker.output, converse(speaker.target, talk), {"searchable": on}, _SAID[on])
