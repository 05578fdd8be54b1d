"""Policies for tests, made from a few words instead of whole files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_layers import parse_policy
from folkmoot.protocol.moderation.policy import PolicyDocument

FILE = Path("policy.toml")
HEAD = 'version = 1\nname = "test"\nunicode = "14.0.0"\nappeal = "Ask the operators."\n'


def word_list(id: str, words: Sequence[str], *, severity: int = 1, match: str = "word") -> str:
    """The TOML of one list."""
    return (
        f'[[lists]]\nid = "{id}"\ncategory = "test"\nseverity = {severity}\nmatch = "{match}"\n'
        f"words = {json.dumps(list(words))}\n"
    )


def pattern(id: str, regex: str, *, severity: int = 1) -> str:
    """The TOML of one pattern."""
    return f"[[patterns]]\nid = \"{id}\"\ncategory = \"test\"\nseverity = {severity}\nregex = '''{regex}'''\n"


def rule(id: str, when: Sequence[str], then: str, *, label: str | None = None) -> str:
    """The TOML of one rule."""
    text = f'[[rules]]\nid = "{id}"\nwhen = {json.dumps(list(when))}\n'
    text += f'then = "{then}"\nreason = "Because {id}."\n'
    return text if label is None else text + f'label = "{label}"\n'


def condition(id: str, when: str, then: str = "hold", **more: object) -> str:
    """The TOML of a rule with an expression; `more` is further keys."""
    said = {"when": when, "then": then, "category": "test", "severity": 3, "reason": f"Because {id}.", **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items()]
    return "\n".join((f'[[rules]]\nid = "{id}"', *lines, ""))


def model(id: str, *, labels: Sequence[str], hash: str = "0" * 64, blind: bool = False) -> str:
    """The TOML of one text model."""
    said = f'[[models]]\nid = "{id}"\nhash = "{hash}"\nlabels = {json.dumps(list(labels))}\n'
    return said + "blind = true\n" * blind


def document(*parts: str) -> PolicyDocument:
    """A valid policy of these parts."""
    return parse_policy(FILE, (HEAD + "".join(parts)).encode())


def layered(*layers: str) -> PolicyDocument:
    """The policy of several documents of these parts, the widest first: `0.toml`, `1.toml` and so on."""
    files = {
        Path(f"{number}.toml"): (f'extends = "{number - 1}.toml"\n' * (number > 0) + HEAD + parts).encode()
        for number, parts in enumerate(layers)
    }
    narrowest = Path(f"{len(layers) - 1}.toml")
    return parse_policy(narrowest, files[narrowest], read=files.__getitem__)


def engine(*parts: str) -> PolicyEngine:
    """An engine that judges by these parts."""
    return PolicyEngine(document(*parts))


def finding_engine(*words: str, match: str = "word") -> PolicyEngine:
    """An engine that holds whatever contains one of `words`."""
    return engine(word_list("words", words, match=match), rule("found", ["words"], "hold"))
