"""What can be said of a post besides its text: tags, warnings, and who may answer and quote it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from folkmoot.cli.post_names import parse_post_name
from folkmoot.cli.users.who import ShortText, Who, WhoType
from folkmoot.protocol.feed.controls import Control

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])

_CONTROL: Final = click.Choice([str(control) for control in Control])
_OPTIONS: Final = (
    click.option("--tag", "tags", type=ShortText(), multiple=True, help="May be repeated."),
    click.option("--lang", type=ShortText(), metavar="CODE", help="The language, such as en."),
    click.option("--quote", metavar="ACCOUNT/ITEM", help="A post that is shown with this one."),
    click.option(
        "--warning", type=ShortText(), metavar="TEXT", help="What readers are told before they see the post."
    ),
    click.option(
        "--label",
        "labels",
        type=ShortText(),
        multiple=True,
        help="What is in it, such as nudity. May be repeated.",
    ),
    click.option("--mention", "mentions", type=WhoType(), multiple=True, help="May be repeated."),
    click.option("--reply-from", type=_CONTROL, help="Who may answer. [default: everyone]"),
    click.option("--quote-from", type=_CONTROL, help="Who may quote it. [default: everyone]"),
)


@dataclass(frozen=True, slots=True)
class PostTerms:
    """The options, as they were given."""

    tags: tuple[str, ...]
    lang: str | None
    quote: dict[str, Any] | None
    warning: str | None
    labels: tuple[str, ...]
    mentions: tuple[Who, ...]
    reply_from: str | None
    quote_from: str | None

    async def body(self, client: Client) -> dict[str, Any]:
        """What they add to the post's body.

        Raises:
            OperatorError: somebody who is mentioned by a handle is not known.
        """
        said: dict[str, Any] = {
            "tags": list(self.tags),
            "lang": self.lang,
            "quote": self.quote,
            "warning": self.warning,
            "labels": list(self.labels),
            "mentions": [await who.found(client) for who in self.mentions],
            "reply_from": self.reply_from,
            "quote_from": self.quote_from,
        }
        return {name: value for name, value in said.items() if value}


def post_terms(command: Command) -> Command:
    """Give a command the options, and pass it `terms`."""

    @functools.wraps(command)
    def wrapped(*args: Any, quote: str | None, **options: Any) -> Any:
        names = ("tags", "lang", "warning", "labels", "mentions", "reply_from", "quote_from")
        terms = PostTerms(
            quote=None if quote is None else parse_post_name(quote),
            **{name: options.pop(name) for name in names},
        )
        return command(*args, terms=terms, **options)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]  # the same command with its `terms` filled in
