"""Replaying: the posts that this node has judged, judged again as they stood then, by two policies.

What can be worked out from a post is worked out again; what cannot is taken from what the gate kept of it.
Where the gate did not compare texts, because no rule asked for it, that is made up for by counting again what
came, in the order in which it came. Blocking: a step is a bounded number of posts, off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.noting import SAME_TEXT, Note
from folkmoot.node.moderation.submissions import Submission, texts_of
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.moderation.bounds import PREVIEW_SAMPLE_CODE_POINTS, PREVIEW_STEP
from folkmoot.protocol.moderation.flood import NO_FLOOD, Flood
from folkmoot.protocol.moderation.replay import Comparison, Seen, strictest, upheld
from folkmoot.protocol.moderation.signals import FLOOD, family
from folkmoot.protocol.moderation.verdict import Finding
from folkmoot.protocol.record import Record
from folkmoot.storage import judged
from folkmoot.storage.interface import Engine

_MICROSECONDS: Final = 1_000_000
_NO_SECRET: Final = bytes(16)  # what is replayed was let in already, so nobody gains by knowing it


class Pair:
    """Two policies that judge the same posts, in the order in which these came.

    Args:
        before, after: the policy in force, and the one that is tried.
        spent_s: the processor time of the calling thread, seconds.

    Attributes:
        spent: what judging by each took, seconds; what both need of a text is made once, by the first.
    """

    def __init__(self, before: PolicyEngine, after: PolicyEngine, spent_s: Callable[[], float]) -> None:
        self._engines = {"before": before, "after": after}
        self._spent_s = spent_s
        self._flood = Flood(_NO_SECRET)
        self.spent = dict.fromkeys(self._engines, 0.0)

    def judge(self, notes: Sequence[Note], now_us: int, decided: Sequence[bool | None]) -> list[Seen]:
        """Have both judge some posts: first one all of them, then the other, because a clock is slow to read.

        Args:
            notes: the posts, and what was known of them.
            now_us: microseconds since 1970, by which rules expire.
            decided: of each, see `Seen.upheld`.
        """
        submissions = [self._submission(note) for note in notes]
        found: dict[str, list[list[Finding]]] = {}
        for name, engine in self._engines.items():
            began = self._spent_s()
            found[name] = engine.findings_of(submissions, now_us)
            self.spent[name] += self._spent_s() - began
        for note in notes:
            self._flood.settle(note.record.id, changed=True)
        several = zip(notes, submissions, found["before"], found["after"], decided, strict=True)
        return [
            Seen(
                *(before, after, submission.language, note.judged_us, upheld),
                partial(sample_of, note.record, before, after),
            )
            for note, submission, before, after, upheld in several
        ]

    def _submission(self, note: Note) -> Submission:
        """A post as it stood before the gate."""
        known = {name: value for name, value in note.signals.items() if family(name) != FLOOD}
        texts = texts_of(note.record) or ()
        return Submission(texts, note.record, self._counting(note), known, dict(note.scores))

    def _counting(self, note: Note) -> Callable[[str], Mapping[str, Value]]:
        """Counts a post again, and tells what was counted then where that was kept."""
        kept = {name: value for name, value in note.signals.items() if family(name) == FLOOD}

        def counting(text: str) -> Mapping[str, Value]:
            now = note.judged_us / _MICROSECONDS
            told = self._flood.look(note.record.id, note.record.author, "", text, now)
            return {**NO_FLOOD, SAME_TEXT: told[SAME_TEXT], **kept}

        return counting


class Replay:
    """See the module.

    Args:
        store: where this node's posts are.
        before, after: the policy in force, and the one that is tried.
        posts: at most so many, the latest.
        now_us: microseconds since 1970, by which rules expire.
        spent_s: the processor time of the calling thread, seconds.

    Attributes:
        of: how many there are to replay.
        done: how many were.
        comparison: what came of it so far.
    """

    def __init__(
        self,
        store: Engine,
        before: PolicyEngine,
        after: PolicyEngine,
        posts: int,
        now_us: int,
        spent_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._pair = Pair(before, after, spent_s)
        self._now_us = now_us
        self._next, self.of = judged.latest(store, posts)
        self.done = 0
        self.comparison = Comparison(before.document, after.document)
        self.comparison.spent_s = self._pair.spent

    @property
    def ended(self) -> bool:
        """Whether all were replayed."""
        return self._next is None or self.done >= self.of

    @property
    def taken_s(self) -> float:
        """The processor time that judging took so far, seconds."""
        return sum(self._pair.spent.values())

    def step(self) -> None:
        """Replay some more."""
        if self._next is None:
            return
        stretch = judged.stretch(self._store, self._next, min(PREVIEW_STEP, self.of - self.done))
        found = stretch.found
        notes = [Note(each.record, *each.judged[2:]) for each in found]
        decided = [upheld(each.outcome, each.record.id) for each in found]
        for seen in self._pair.judge(notes, self._now_us, decided):
            self.comparison.add(seen)
        self.comparison.gone += stretch.gone
        self.done += len(stretch.found) + stretch.gone
        self._next = stretch.resume


def sample_of(record: Record, before: Sequence[Finding], after: Sequence[Finding]) -> dict[str, Any]:
    """A post, and what happens to it, for people who may see what is written."""
    text = record.body.get("text")
    return {
        "author": record.author,
        "item": record.item,
        "text": text[:PREVIEW_SAMPLE_CODE_POINTS] if isinstance(text, str) else "",
        "before": strictest(before).word,
        "after": strictest(after).word,
    }
