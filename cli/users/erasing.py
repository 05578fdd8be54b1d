"""What `user purge` and `user close --purge` share: taking everything back, and saying what became of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.output import Output
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.identity import KeyPair, account_to_text

if TYPE_CHECKING:
    from folkmoot.cli.users.purging import Purged, Survey
    from folkmoot.protocol.client import Client

NO_WAY_BACK: Final = "what is taken back is gone from every replica and cannot be had again"
MEDIA_LATER: Final = "they go by themselves after the cluster's grace period, and at once by the same again"
STAY: Final = "stay: they are statements in others' cases"


@dataclass(frozen=True, slots=True)
class Erasing:
    """Takes back what an account wrote.

    Args:
        target: the cluster.
        key: a device's, of the account.
        operator: an operator's, who puts the records, because quotas do not slow operators; None for nobody.
        output: where it is told.
    """

    target: Target
    key: KeyPair
    operator: KeyPair | None
    output: Output

    async def survey(self, client: Client) -> Survey:
        """Look, and change nothing; see `Purge.survey`."""
        from folkmoot.cli.users.purging import Purge

        await client.auth(self.key)
        with progress_bar("cells listed", quiet=self.output.as_json) as progress:
            return await Purge(client, self.key, self.output.note).survey(progress)

    async def run(self, client: Client, total: int) -> Purged:
        """Take everything back; see `Purge.run`."""
        from folkmoot.cli.users.purging import Purge

        await client.auth(self.key)
        async with self._writer(client) as writer:
            with progress_bar("taken back", quiet=self.output.as_json) as progress:
                return await Purge(client, self.key, self.output.note, writer).run(total, progress)

    @asynccontextmanager
    async def _writer(self, client: Client) -> AsyncIterator[Client]:
        from folkmoot.cli.clients import open_client

        if self.operator is None:
            yield client
        else:
            async with open_client(self.target, self.operator) as writer:
                yield writer


def in_words(counts: Counter[str]) -> str:
    """`12 posts and 3 follows`."""
    words = [f"{count:,} {kind if count == 1 else PLURALS[kind]}" for kind, count in counts.most_common()]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "nothing"


PLURALS: Final[Mapping[str, str]] = {
    "post": "posts",
    "profile": "profile fields",
    "follow": "follows",
    "mute": "mutes",
    "block": "blocks",
    "bookmark": "bookmarks",
    "like": "likes",
    "repost": "reposts",
    "report": "reports",
    "label": "labels",
    "vote": "votes",
    "decision": "decisions",
    "appeal": "appeals",
    "list": "lists",
    "listed": "list members",
    "preference": "preferences",
    "algorithm": "feed algorithms",
}


def survey_value(key: KeyPair, survey: Survey) -> dict[str, Any]:
    """What a survey found, for programs."""
    return {
        "account": account_to_text(key.owner),
        "left": dict(survey.left),
        "gone": survey.gone,
        "staying": dict(survey.staying),
    }


def survey_lines(key: KeyPair, survey: Survey) -> list[str]:
    """The same in words."""
    name = account_to_text(key.owner)
    lines = [f"{name}: {in_words(survey.left)} to be taken back; {survey.gone:,} were before"]
    if survey.staying:
        lines.append(f"{in_words(survey.staying)} {STAY}")
    return lines


def purged_value(key: KeyPair, purged: Purged) -> dict[str, Any]:
    """What became of a purge, for programs."""
    return {
        **survey_value(key, purged.found),
        "taken_back": dict(purged.taken_back),
        "at_quorum": purged.at_quorum,
        "reasons": dict(purged.reasons),
        "media": purged.media,
        "media_at": purged.media_at,
        "complete": purged.complete,
    }


def purged_lines(key: KeyPair, purged: Purged) -> list[str]:
    """The same in words."""
    done = in_words(purged.taken_back) if purged.taken_back else "nothing was left to be"
    lines = [f"{account_to_text(key.owner)}: {done} taken back; {purged.found.gone:,} gone in all"]
    if purged.at_quorum:
        lines.append(f"not every replica has acknowledged {purged.at_quorum:,} of them; the others will hear")
    if purged.found.left:
        lines.append(f"LEFT: {in_words(purged.found.left)}; the same again goes on from here")
    lines += [f"refused ({count:,}): {reason}" for reason, count in purged.reasons.most_common()]
    if purged.found.staying:
        lines.append(f"{in_words(purged.found.staying)} {STAY}")
    if purged.media:
        lines.append(f"{purged.media:,} files of pictures, sound and films are erased, on all nodes together")
    for node, why in purged.media_at.items():
        lines.append(f"node {node} may have media still: {why}; {MEDIA_LATER}")
    return lines


def confirm(question: str, output: Output) -> None:
    """Ask a person, if there is one.

    Raises:
        OperatorError: there is none, or the answer is no.
    """
    if output.as_json or not sys.stdin.isatty():
        raise OperatorError(
            "this cannot be undone, and nobody is here to be asked", hint="the same with --yes"
        )
    if not click.confirm(question, default=False, err=True):
        raise OperatorError("nothing was done")
