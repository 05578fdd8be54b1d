"""Lists of an account: finding the one that is meant, and saying what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.post_names import post_name
from folkmoot.cli.social.said import cells_of, described, flags_of, shown_of
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_from_text, account_to_text
from folkmoot.protocol.limits import POST_ITEM_BYTES

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


class Named(NamedTuple):
    """A list.

    Args:
        owner: its author (34 bytes).
        item: 16 bytes.
        name, about: what its owner says of it.
    """

    owner: bytes
    item: bytes
    name: str
    about: str

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"list": post_name(self.owner, self.item), "name": self.name, "about": self.about}


async def lists_of(client: Client, owner: bytes, own: bytes | None) -> list[Named]:
    """The lists an account has; of another than one's own (`own`), those that are not hidden."""
    cells = await (cells_of if owner == own else shown_of)(client, owner, "list")
    return [
        Named(owner, cell.winner.item, cell.winner.body["name"], cell.winner.body.get("about", ""))
        for cell in cells
        if "deleted" not in cell.winner.body
    ]


async def list_called(client: Client, text: str, owner: bytes | None) -> Named:
    """The list that is meant.

    Args:
        client: connected.
        text: `did:key:z6Mk…/ITEM`; or, of the owner's, the item or the name.
        owner: whose it is when it does not say (34 bytes), if anybody's: oneself, mostly.

    Raises:
        OperatorError: there is none, or several have the name.
    """
    account, slash, item = text.rpartition("/")
    try:
        asked = account_from_text(account) if slash else owner
    except WireError:
        asked, item = owner, text  # a name with a slash in it
    if asked is None:
        raise OperatorError(
            f"{text!r} is one of your own lists by its name, and you have no key", hint="--key"
        )
    lists = await lists_of(client, asked, owner)
    found = [each for each in lists if each.item.hex() == item]
    if asked == owner and not found:
        found = [each for each in lists if each.name == text]
    if len(found) == 1:
        return found[0]
    whose = account_to_text(asked)
    if not found:
        raise OperatorError(f"{whose} has no list {text!r}", hint=f"folkmoot list show --of {whose}")
    items = ", ".join(each.item.hex() for each in found)
    raise OperatorError(
        f"{len(found)} lists are called {text!r}: {items}", hint="its item instead of its name"
    )


async def members_of(client: Client, named: Named) -> list[str]:
    """Who is on a list, as text ids."""
    return [
        described(record.item, "listed", record.body)["member"]
        for record in await flags_of(client, named.owner, "listed")
        if record.item[:POST_ITEM_BYTES] == named.item
    ]
