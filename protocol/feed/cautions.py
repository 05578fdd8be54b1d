"""Cautions: what is said before a post is shown, and which labels a viewer does not want to see at all.

Labels decide nothing by themselves. Whose count is the viewer's to say (see `labelling`), what they mean is
their labeller's (see `definitions`), and both are asked when a page is built. The labels of the cluster's
nodes, of decisions and of authors are always heeded, and mean what the community says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from folkmoot.protocol.feed.labelling import NO_LABELLING, Labelling
from folkmoot.protocol.moderation.builtin_labels import BUILT_IN
from folkmoot.protocol.moderation.decision import Action
from folkmoot.protocol.moderation.definitions import Choice, Definition, Definitions, undefined
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.outcome import NOTHING, Outcome
from folkmoot.protocol.record import Record

_UNSAID: Final = frozenset({Action.LABEL, Action.LIMIT})  # the labels say it; who sees it needs no warning


class Caution(NamedTuple):
    """Something to be said before a post is shown.

    Args:
        source: `warning` (the author's words), `self_label` (the author's), `label` (of somebody else) or
            `decision` (of moderation).
        text: the warning, the label's value, or why it was decided.
        by: who says it (34 bytes).
        means: of a label, its definition.
        languages: in which it is to be told.
    """

    source: str
    text: str
    by: bytes
    means: Definition | None = None
    languages: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """As it stands in the item of a page."""
        said: dict[str, Any] = {"source": self.source, "text": self.text, "by": self.by}
        if self.means is not None:
            name, about = self.means.said_in(self.languages)
            said |= {"severity": self.means.severity.value, "blurs": self.means.blurs.value, "name": name}
            if about:
                said["about"] = about
        return said


class _Heard(NamedTuple):
    """One label on a post, that counts for the viewer."""

    source: str
    value: str
    by: bytes
    means: Definition
    choice: Choice


class Heeding:
    """How labels are heeded on one page.

    Args:
        labelling: what the viewer has said.
        definitions: of the labellers that the viewer subscribes to and whose labels are on the page; labels
            of all others that are passed are the cluster's.
        community: what the cluster's and authors' labels mean.
    """

    def __init__(
        self,
        labelling: Labelling = NO_LABELLING,
        definitions: Mapping[bytes, Definitions] | None = None,
        community: Definitions = BUILT_IN,
    ) -> None:
        self._labelling = labelling
        self._definitions = definitions or {}
        self._community = community

    def hides(self, record: Record, labels: Iterable[Label] = (), outcome: Outcome = NOTHING) -> bool:
        """Whether the viewer does not want to see a post that bears these labels."""
        return any(heard.choice is Choice.HIDE for heard in self._heard(record, labels, outcome))

    def cautions(
        self, record: Record, labels: Iterable[Label] = (), outcome: Outcome = NOTHING
    ) -> tuple[Caution, ...]:
        """What is to be said before a post is shown, the author's words first.

        Args:
            record: the post.
            labels: what others say about it that the viewer heeds, and that holds.
            outcome: what moderation has decided about it.
        """
        said: list[Caution] = []
        if record.body.get("warning"):
            said.append(Caution("warning", record.body["warning"], record.author))
        said += self._said(self._heard(record, labels, NOTHING))
        for each in outcome.applied(record.id):
            if each.action not in _UNSAID:
                said.append(Caution("decision", each.reason, each.decider))
            said += self._said(self._of_cluster("label", value, each.decider) for value in each.labels)
        return tuple(said)

    def _said(self, heard: Iterable[_Heard]) -> Iterator[Caution]:
        languages = self._labelling.own.languages
        for each in heard:
            if each.choice is not Choice.IGNORE:
                yield Caution(each.source, each.value, each.by, each.means, languages)

    def _heard(self, record: Record, labels: Iterable[Label], outcome: Outcome) -> Iterator[_Heard]:
        for value in dict.fromkeys(record.body.get("labels", ())):
            yield self._of_cluster("self_label", value, record.author)
        for label in labels:
            if not label.negated:
                yield self._of_labeller(label)
        for each in outcome.applied(record.id):
            for value in each.labels:
                yield self._of_cluster("label", value, each.decider)

    def _of_cluster(self, source: str, value: str, by: bytes) -> _Heard:
        means = self._community.get(value) or undefined(value)
        return _Heard(source, value, by, means, means.chosen(self._labelling.own.settings.get(value)))

    def _of_labeller(self, label: Label) -> _Heard:
        settings = self._labelling.labellers.get(label.labeller)
        definitions = self._definitions.get(label.labeller)
        if settings is None or definitions is None:
            return self._of_cluster("label", label.value, label.labeller)
        means = definitions.get(label.value) or undefined(label.value)
        return _Heard("label", label.value, label.labeller, means, means.chosen(settings.get(label.value)))


EVERYBODY: Final = Heeding()
"""As nobody in particular heeds labels where a community has said nothing."""
