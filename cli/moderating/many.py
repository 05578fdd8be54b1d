"""Deciding the same about many things, one after the other; what was decided before is only made sure of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.moderating.deciding import Wish, decide
from folkmoot.cli.moderating.queue import waiting
from folkmoot.cli.moderating.subjects import Named
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.bounds import DECIDED_AT_ONCE

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_COUNTED: Final = {"stored": "decided", "duplicate": "before"}


async def decide_all(
    client: Client, key: KeyPair, all_of: Sequence[Named], author: bytes | None, wish: Wish, level: str
) -> dict[str, Any]:
    """Decide about all that is named, or about all of an account's that waits.

    Args:
        client: connected.
        key: of who decides.
        all_of: what is named.
        author: whose waiting things are meant besides (34 bytes); None for nobody's.
        wish: what is decided.
        level: what is waited for.

    Returns:
        `decided` and `before` (how many had been so decided already), what `failed` and why, the `missing`
        ranges, and whether there is `more` than is done at once.
    """
    told: dict[str, Any] = {"action": wish.action.word, "decided": 0, "before": 0, "failed": []}
    told |= {"missing": [], "more": False}
    named = list(all_of)
    if author is not None:
        await client.auth(key)
        queue = await waiting(client, DECIDED_AT_ONCE, author)
        named += queue.named()
        told |= {"missing": queue.missing, "more": queue.has_more}
    with progress_bar("decisions", quiet=False) as progress:
        for done, each in enumerate(named):
            progress(done, len(named))
            if (why := await _decide(client, key, each, wish, level, told)) is not None:
                told["failed"].append({"post": str(each), "reason": why})
    return told


async def _decide(
    client: Client, key: KeyPair, named: Named, wish: Wish, level: str, told: dict[str, Any]
) -> str | None:
    """Decide about one thing, and count it; why it could not be, if so."""
    try:
        answer = await decide(client, key, named, wish, level)
    except OperatorError as error:
        return str(error)
    except WireError as error:
        return error.message
    if (counted := _COUNTED.get(answer["status"])) is not None:
        told[counted] += 1
    outcomes = [answer, *([answer["released"]] if "released" in answer else [])]
    if all(each["status"] in _COUNTED for each in outcomes):
        return None
    return next(
        (each["error"]["message"] for each in outcomes if "error" in each), "the level was not reached"
    )


def lines_of_all(told: dict[str, Any]) -> list[str]:
    """What `decide_all` tells, as lines of text."""
    lines = [f"{told['decided']:,} decided: {told['action']}"]
    if told["before"]:
        lines.append(f"{told['before']:,} had been so decided before")
    lines += [f"{each['post']}: {each['reason']}" for each in told["failed"]]
    if told["more"]:
        lines.append("more waits: say the same again")
    if told["missing"]:
        lines.append(f"{len(told['missing'])} ranges did not answer: more may wait there")
    return lines
