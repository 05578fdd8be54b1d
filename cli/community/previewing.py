"""Previews on a command line: asked for until they are there, and told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.community.asking import asked, short
from folkmoot.cli.community.documents import Document, document_named, file_named, read_file
from folkmoot.cli.output import table, utc_text
from folkmoot.cli.progress import OnProgress
from folkmoot.protocol.errors import BUSY, WireError

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_RULE_COLUMNS: Final = ("rule", "action", "before", "after", "gained", "lost", "precision")
_LANGUAGE_COLUMNS: Final = ("language", "posts", "before", "after")


class HashType(click.ParamType[bytes]):
    """The hash of a preview, in hex."""

    name = "hash"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Its bytes."""
        if not re.fullmatch(r"[0-9a-f]{64}", value):
            self.fail(f"{value!r} is not the hash of a preview, 64 hexadecimal digits", param, ctx)
        return bytes.fromhex(value)


async def document_put(client: Client, policy: str) -> Document:
    """A document that the asked node has then: of a file, or of what names a policy that the nodes have.

    Raises:
        PolicyError: the file is none; with places in it.
    """
    if file_named(policy) is None:
        return await document_named(client, policy)
    document, _ = read_file(Path(policy))
    await asked(client, "policy.put", {"document": document.data})
    return document


async def preview_of(client: Client, policy: str, posts: int, progress: OnProgress) -> dict[str, Any]:
    """The report of a preview.

    Args:
        policy: a file, or what names a policy that the nodes have.
        posts: at most so many are replayed.
        progress: told how many have been.
    """
    import trio

    document = await document_put(client, policy)
    params = {"hash": bytes.fromhex(document.hash), "posts": posts}
    while True:
        try:
            told = await asked(client, "policy.preview", params)
        except WireError as error:
            if error.kind is not BUSY:
                raise
            await trio.sleep((error.retry_after_ms or 1_000) / 1_000)
            continue
        progress(told["done"], told["of"])
        if told["report"] is not None:
            report: dict[str, Any] = told["report"]
            return report


def preview_lines(report: dict[str, Any]) -> list[str]:
    """What a preview found, for people."""
    return [
        _heading(report),
        *_actions(report),
        *_queue(report["queue"]),
        *_rules(report["rules"]),
        *_languages(report["languages"]),
        *(f"{'against it' if each['blocks'] else 'note'}: {each['what']}" for each in report["found"]),
        *_samples(report["rules"]),
        *(line for each in report.get("regions", ()) for line in _region_lines(each)),
        f"folkmoot policy activate FILE --preview {report['preview']}"
        + "".join(f" --acknowledge {name}=REASON" for name in report["blocks"]),
    ]


def _region_lines(report: dict[str, Any]) -> list[str]:
    """What nodes of another region found, where other rules change."""
    return [
        f"in region {report['region']}, {_posts(report)}",
        *_actions(report),
        *_queue(report["queue"]),
        *_rules(report["rules"]),
        *_languages(report["languages"]),
        *_samples(report["rules"]),
    ]


def shadow_lines(told: dict[str, Any] | None) -> list[str]:
    """What a policy that judges without effect saw, for people."""
    if told is None:
        return ["no policy judges without effect at this node"]
    left_out = f"; {told['left_out']} were left out under load" if told["left_out"] else ""
    return [
        f"{short(told['hash'])} ({told['name']}) beside {short(told['beside'])} since "
        f"{utc_text(1000 * told['since_ms'])}: {told['posts']} posts{left_out}",
        *_actions(told),
        *_queue(told["queue"]),
        *_rules(told["rules"]),
        *_languages(told["languages"]),
        *_samples(told["rules"]),
    ]


def acknowledgements(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """The reasons of `--acknowledge NAME=REASON`, by name."""
    told: dict[str, str] = {}
    for value in values:
        name, equals, reason = value.partition("=")
        if not equals or not name or not reason.strip():
            raise click.BadParameter(f"{value!r} is not NAME=REASON, as the preview spells NAME")
        told[name] = reason.strip()
    return told


def _heading(report: dict[str, Any]) -> str:
    here = f"in region {report['region']}, " if report.get("regions") else ""
    return f"{short(report['document'])} beside {short(report['compared'])}: {here}{_posts(report)}"


def _posts(report: dict[str, Any]) -> str:
    posts = report["posts"]
    if not posts:
        return "no posts to replay"
    gone = f" ({report['gone']} more are gone)" if report["gone"] else ""
    return f"{posts} posts from {utc_text(report['from_us'])} to {utc_text(report['to_us'])}{gone}"


def _actions(report: dict[str, Any]) -> Iterator[str]:
    for each in report["actions"]:
        if each["before"] != each["after"]:
            yield f"{each['posts']} posts: {each['before']} becomes {each['after']}"


def _queue(queue: dict[str, Any]) -> Iterator[str]:
    line = f"held for review: {queue['before']} before, {queue['after']} after"
    if queue["before_per_day"] is not None:
        line += f"; a day {queue['before_per_day']:.1f} and {queue['after_per_day']:.1f}"
    yield line


def _rules(rules: list[dict[str, Any]]) -> list[str]:
    rows = [{**each, "precision": _precision(each)} for each in rules if each["before"] or each["after"]]
    return table(rows, _RULE_COLUMNS) if rows else []


def _precision(rule: dict[str, Any]) -> str | None:
    if rule["precision"] is None:
        return None
    low, high = rule["precision"]
    return f"{low:.2f} to {high:.2f} (upheld {rule['upheld']} of {rule['decided']})"


def _languages(languages: list[dict[str, Any]]) -> list[str]:
    rows = [{**each, **{when: _ratio(each[when]) for when in ("before", "after")}} for each in languages]
    if not rows:
        return []
    return ["how often something happens, beside all other languages:", *table(rows, _LANGUAGE_COLUMNS)]


def _ratio(told: dict[str, Any]) -> str | None:
    if told["ratio"] is None:
        return None
    low, high = (f"{bound:.2f}" if bound is not None else "∞" for bound in told["interval"])
    return f"{told['ratio']:.2f} ({low} to {high})"


def _samples(rules: list[dict[str, Any]]) -> Iterator[str]:
    for rule in rules:
        for how, samples in rule["samples"].items():
            for each in samples:
                text = " ".join(each["text"].split())
                yield f"{rule['rule']} {how}: {each['before']} becomes {each['after']}: {text}"
