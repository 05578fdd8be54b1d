"""Policy documents on a command line: files, and those that the community names."""

from __future__ import annotations

import difflib
import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.community.asking import asked
from folkmoot.cli.errors import OperatorError
from folkmoot.node.configuration.toml_source import TomlSource, TomlSyntaxError
from folkmoot.node.moderation.policy_layers import gathered, layers_of
from folkmoot.node.moderation.trial import tried
from folkmoot.protocol.moderation.policy import Regional

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

HASH: Final = re.compile(r"[0-9a-f]{8,64}")
HASH_DIGITS: Final = 64
ACTIVE, PREVIOUS, PROPOSED = "active", "previous", "proposed"


@dataclass(frozen=True, slots=True)
class Document:
    """One policy for all nodes: a document, or several layers of them.

    Args:
        called: as it was named.
        data: its bytes.
    """

    called: str
    data: bytes

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def layers(self, region: str | None = None) -> dict[str, bytes]:
        """The documents it is made of, by name, the widest first; see `layers_of`."""
        return layers_of(self.data, region)


def read_file(file: Path) -> tuple[Document, Regional]:
    """A policy file that nodes could judge by, with those that it names, and what it says in all regions.

    Raises:
        PolicyError: with every problem found, each at its line.
    """
    found = gathered(file)
    policy = found.read()
    for region, document in policy.different().items():
        tried(document, time.thread_time, region)
    return Document(str(file), found.data), policy


async def hash_named(client: Client, named: str) -> str:
    """The hash of a policy that is called `active`, `previous` or `proposed`, or by how its hash begins.

    Raises:
        OperatorError: nothing is called so.
    """
    status = await asked(client, "policy.status", {})
    policy, proposal = status["policy"], status["proposal"] or {}
    by_word = {ACTIVE: policy["hash"], PREVIOUS: policy["previous"], PROPOSED: proposal.get("hash")}
    if named in by_word:
        if (found := by_word[named]) is None:
            raise OperatorError(f"there is no policy that is {named}", hint="folkmoot policy status")
        return str(found)
    if not HASH.fullmatch(named):
        raise OperatorError(
            f"{named} is no file, and no policy is called so",
            hint=f"a file, {ACTIVE}, {PREVIOUS}, {PROPOSED}, or at least 8 digits of a hash",
        )
    log = (await asked(client, "community.get", {}))["log"]
    known = {each for each in (*by_word.values(), *(line.get("hash") for line in log)) if each}
    found = {each for each in known if each.startswith(named)}
    if len(found) > 1:
        raise OperatorError(f"the hashes of {len(found)} policies begin with {named}: write more of it")
    if not found and len(named) != HASH_DIGITS:
        raise OperatorError(f"no policy whose hash begins with {named} is known", hint="folkmoot policy log")
    return found.pop() if found else named


def file_named(named: str) -> Document | None:
    """The document in a file of this name; None where there is none."""
    file = Path(named)
    return Document(named, gathered(file).data) if file.is_file() else None


async def document_named(client: Client, named: str) -> Document:
    """A document that nodes have, see `hash_named`.

    Raises:
        OperatorError: nothing is called so.
        WireError: `not_found`: no node has it.
    """
    hash = await hash_named(client, named)
    answer = await client.call("policy.get", {"hash": bytes.fromhex(hash)})
    return Document(named, answer["document"])


def lines_of_difference(before: Document, after: Document) -> list[str]:
    """What was changed, line by line, as diff shows it; layers with those of their names."""
    old, new = before.layers(), after.layers()
    # The narrowest is what the policy is named after, however it is called.
    tops = [layers.pop(list(layers)[-1]) for layers in (old, new)]
    lines = _changes(before.called, before.hash, tops[0], after.called, after.hash, tops[1])
    for name in dict.fromkeys((*old, *new)):
        one, other = old.get(name, b""), new.get(name, b"")
        lines += _changes(
            *(f"{before.called}: {name}", hashlib.sha256(one).hexdigest(), one),
            *(f"{after.called}: {name}", hashlib.sha256(other).hexdigest(), other),
        )
    return lines


def _changes(old_name: str, old_hash: str, old: bytes, new_name: str, new_hash: str, new: bytes) -> list[str]:
    """What was changed in one document; of none, every line."""
    before, after = (data.decode(errors="replace").splitlines() for data in (old, new))
    names = f"{old_name} {old_hash[:12]}", f"{new_name} {new_hash[:12]}"
    return list(difflib.unified_diff(before, after, names[0], names[1], lineterm=""))


def named_differences(before: Document, after: Document) -> dict[str, dict[str, list[str]]]:
    """Which of the things that have an id (lists, patterns, rules …) are new, gone or changed, by sort."""
    old, new = dict(_things(before)), dict(_things(after))
    told: dict[str, dict[str, list[str]]] = {}
    for how, keys in {
        "added": [key for key in new if key not in old],
        "removed": [key for key in old if key not in new],
        "changed": [key for key in new if key in old and new[key] != old[key]],
    }.items():
        for sort, id in keys:
            told.setdefault(sort, {}).setdefault(how, []).append(id)
    return told


def _things(document: Document) -> Iterator[tuple[tuple[str, str], Any]]:
    """Every table of an array in a document that has an id; in a wider layer, with the layer's name."""
    layers = document.layers()
    top = list(layers)[-1]
    for name, data in layers.items():
        called = f"{document.called}: {name}" if name else document.called
        try:
            said = TomlSource(Path(called), data.decode()).data
        except UnicodeDecodeError as error:
            raise OperatorError(f"{called}: {error}", hint="folkmoot policy check FILE") from error
        except TomlSyntaxError as error:
            raise OperatorError(str(error), hint="folkmoot policy check FILE") from error
        for sort, entries in said.items():
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and isinstance(entry.get("id"), str):
                    id = entry["id"] if name == top else f"{entry['id']} ({name})"
                    yield (sort, id), entry
