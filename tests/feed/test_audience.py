"""What a viewer sees of a page: a table a rule, and what holds whatever the viewer."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol.feed.audience import (
    Audience,
    Candidate,
    Decision,
    Hide,
    PageKind,
    Reason,
    Show,
    Warn,
)
from folkmoot.protocol.feed.cautions import EVERYBODY, Caution
from folkmoot.protocol.feed.controls import Edge
from folkmoot.protocol.feed.viewer import PUBLIC, Viewer, viewer_of
from folkmoot.protocol.moderation.builtin_labels import BUILT_IN
from folkmoot.protocol.moderation.definitions import undefined
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.feed.people import ANN, BOB, CAT, DAN, ME, MINUTE_US, NOW_US, post, ref, said, word

PEOPLE = {"me": ME, "ann": ANN, "bob": BOB, "cat": CAT, "dan": DAN}
SHOW = Show()


def seen(
    viewer: Viewer | list[Record],
    candidate: Candidate | Record,
    *on: Edge,
    page: PageKind = PageKind.HOME,
    now_us: int = NOW_US,
) -> Decision:
    """What a viewer, given whole or by their records, sees of a candidate, given whole or by its post.

    Of the edges that are on only those are passed on that were asked about.
    """
    if isinstance(viewer, list):
        viewer = viewer_of(ME.account, viewer, NOW_US)
    if isinstance(candidate, Record):
        candidate = Candidate(candidate)
    audience = Audience(viewer, page, now_us)
    return audience.decide(candidate, audience.edges_asked([candidate]) & set(on))


def hidden(decision: Decision) -> Reason | None:
    return decision.reason if isinstance(decision, Hide) else None


def edge(kind: str, author: str, other: str) -> Edge:
    return Edge(kind, PEOPLE[author].account, PEOPLE[other].account)


def answer(by: str = "bob", to: Record | None = None, root: Record | None = None, **body: Any) -> Candidate:
    """An answer to a post of Ann's."""
    parent = to if to is not None else post(ANN)
    first = root if root is not None else parent
    made = post(PEOPLE[by], reply_to=ref(parent), root=ref(first), **body)
    return Candidate(made, parent, [first])


@pytest.mark.parametrize("page", PageKind)
@pytest.mark.parametrize("viewer", [PUBLIC, viewer_of(ME.account, [], NOW_US)])
def test_a_plain_post_is_shown_to_everybody(page: PageKind, viewer: Viewer) -> None:
    assert seen(viewer, post(ANN), page=page) == SHOW


@pytest.mark.parametrize("page", PageKind)
@pytest.mark.parametrize("whose", [[], [said("block", ANN.account)]])
def test_blocks_work_both_ways(page: PageKind, whose: list[Record]) -> None:
    """Ann is blocked, or blocks; a page for nobody in particular has her posts either way."""
    on = [] if whose else [edge("block", "ann", "me")]
    assert hidden(seen(whose, post(ANN), *on, page=page)) is Reason.BLOCK
    reposted = Candidate(post(BOB), reposter=ANN.account)
    assert hidden(seen(whose, reposted, *on, page=page)) is Reason.BLOCK
    assert seen(PUBLIC, post(ANN), *on, page=page) == SHOW


def test_a_block_that_is_known_already_needs_no_edge() -> None:
    viewer = viewer_of(ME.account, [], NOW_US, frozenset({ANN.account}))
    assert hidden(seen(viewer, post(ANN))) is Reason.BLOCK


def test_a_block_between_others_is_theirs() -> None:
    assert seen([], post(ANN), edge("block", "ann", "bob"), edge("block", "me", "bob")) == SHOW


@pytest.mark.parametrize(
    ("mute", "own", "reposts", "reposted"),
    [
        ({}, Reason.MUTED_ACCOUNT, Reason.MUTED_REPOSTS, Reason.MUTED_ACCOUNT),
        ({"reposts": True}, None, Reason.MUTED_REPOSTS, None),
        ({"on": False}, None, None, None),
        ({"until": NOW_US}, None, None, None),
        ({"until": NOW_US + 1}, Reason.MUTED_ACCOUNT, Reason.MUTED_REPOSTS, Reason.MUTED_ACCOUNT),
    ],
)
def test_a_muted_account(
    mute: dict[str, Any], own: Reason | None, reposts: Reason | None, reposted: Reason | None
) -> None:
    """What Ann writes, what she reposts, and what others repost of hers."""
    records = [said("mute", ANN.account, **mute)]
    assert hidden(seen(records, post(ANN))) is own
    assert hidden(seen(records, Candidate(post(BOB), reposter=ANN.account))) is reposts
    assert hidden(seen(records, Candidate(post(ANN), reposter=BOB.account))) is reposted


def test_the_page_of_a_muted_author_is_for_those_who_open_it() -> None:
    quoting = post(ANN, quote=ref(post(BOB)))
    records = [said("mute", ANN.account), said("mute", BOB.account), word("spam")]
    for candidate, decision in (
        (Candidate(post(ANN)), SHOW),
        (Candidate(quoting, quoted=post(BOB)), Show(Reason.MUTED_ACCOUNT)),
        (Candidate(post(ANN, "spam")), Hide(Reason.MUTED_WORD)),
    ):
        assert seen(records, candidate, page=PageKind.AUTHOR) == decision


def test_a_mute_ends_while_the_viewer_is_kept() -> None:
    viewer = viewer_of(
        ME.account,
        [
            said("mute", ANN.account, until=NOW_US + 5),
            said("mute", BOB.account + post(BOB).item, until=NOW_US + 5),
            word("spam", until=NOW_US + 5),
        ],
        NOW_US,
    )
    for record in (post(ANN), post(BOB), post(CAT, "spam")):
        assert hidden(seen(viewer, record, now_us=NOW_US + 4)) is not None
        assert seen(viewer, record, now_us=NOW_US + 5) == SHOW


def test_a_muted_thread_is_seen_by_who_opens_it() -> None:
    first = post(ANN)
    records = [said("mute", ANN.account + first.item)]
    reply = answer(to=first)
    later = answer("cat", to=reply.record, root=first)
    for candidate in (Candidate(first), reply, later, Candidate(later.record), Candidate(reply.record)):
        assert hidden(seen(records, candidate)) is Reason.MUTED_THREAD
        assert seen(records, candidate, page=PageKind.THREAD) == SHOW
    assert seen(records, post(ANN, number=2)) == SHOW


@pytest.mark.parametrize(
    ("body", "hit"),
    [
        ({"text": "Spam!"}, True),
        ({"tags": ["spam"]}, True),
        ({"warning": "spam"}, True),
        ({"text": "ham"}, False),
    ],
)
def test_a_muted_word(body: dict[str, Any], hit: bool) -> None:
    assert (hidden(seen([word("spam")], post(ANN, **body))) is Reason.MUTED_WORD) == hit


def test_ones_own_posts_are_hidden_only_once_deleted() -> None:
    records = [word("words"), said("mute", ME.account + post(ME).item), said("mute", ANN.account)]
    assert seen(records, post(ME)) == SHOW
    assert seen(records, post(ME, ahead_us=60 * MINUTE_US)) == SHOW
    assert seen(records, answer("me", to=post(ANN, reply_from="nobody"))) == SHOW
    assert hidden(seen(records, Candidate(post(ME), reposter=ANN.account))) is Reason.MUTED_REPOSTS
    assert seen(records, Candidate(post(BOB, "tales"), reposter=ME.account)) == SHOW
    gone = Record.sign(ME, kind="post", item=post(ME).item, body={"deleted": True}, stamp=NOW_US)
    assert hidden(seen(records, gone)) is Reason.DELETED


@pytest.mark.parametrize(
    ("ahead_us", "shown"), [(0, True), (5 * MINUTE_US, True), (5 * MINUTE_US + 1000, False)]
)
@pytest.mark.parametrize("viewer", [PUBLIC, viewer_of(ME.account, [], NOW_US)])
def test_what_comes_from_the_future_waits_for_it(ahead_us: int, shown: bool, viewer: Viewer) -> None:
    early = post(ANN, ahead_us=ahead_us)
    reposted = Candidate(post(ANN), reposter=BOB.account, reposted_us=NOW_US + ahead_us)
    for candidate in (Candidate(early), reposted):
        assert hidden(seen(viewer, candidate)) is (None if shown else Reason.CLOCK)
        assert seen(viewer, candidate, now_us=NOW_US + MINUTE_US) == SHOW
    assert seen(viewer, early, page=PageKind.AUTHOR) == SHOW, "what was acknowledged is on its author's page"
    assert seen(viewer, post(ANN, ahead_us=-(10**15))) == SHOW, "old posts are brought along from elsewhere"


CONTROLS: list[tuple[str, list[Edge], set[str]]] = [
    ("everyone", [], {"bob", "cat", "dan"}),
    ("following", [edge("follow", "ann", "bob")], {"bob", "cat"}),
    ("following", [edge("follow", "bob", "ann")], {"cat"}),
    ("followers", [edge("follow", "bob", "ann")], {"bob", "cat"}),
    ("followers", [edge("follow", "ann", "bob")], {"cat"}),
    ("mentioned", [edge("follow", "ann", "bob"), edge("follow", "bob", "ann")], {"cat"}),
    ("nobody", [edge("follow", "ann", "bob"), edge("follow", "bob", "ann")], set()),
    ("everyone", [edge("block", "ann", "bob")], {"cat", "dan"}),
    ("mentioned", [edge("block", "ann", "cat")], set()),
    ("everyone", [edge("block", "bob", "ann")], {"bob", "cat", "dan"}),
]


@pytest.mark.parametrize(("control", "on", "allowed"), CONTROLS)
@pytest.mark.parametrize("viewer", [PUBLIC, viewer_of(ME.account, [], NOW_US)])
def test_who_may_answer(control: str, on: list[Edge], allowed: set[str], viewer: Viewer) -> None:
    """Ann says it, in a post that mentions Cat; at the top of a thread it holds for the whole of it."""
    first = post(ANN, reply_from=control, mentions=[CAT.account])
    for by in ("bob", "cat", "dan"):
        between = post(DAN, reply_to=ref(first), root=ref(first), number=7)
        for candidate in (
            answer(by, first),
            answer(by, between, first),
            answer(by, first, post(DAN, number=8)),
        ):
            for page in PageKind:
                reason = hidden(seen(viewer, candidate, *on, page=page))
                assert reason is (None if by in allowed else Reason.REPLY_CONTROL), (by, page)
    assert seen(viewer, answer("ann", first), *on) == SHOW, "an author answers their own posts"


@pytest.mark.parametrize(("control", "on", "allowed"), CONTROLS)
def test_who_may_quote(control: str, on: list[Edge], allowed: set[str]) -> None:
    """Who may not is shown without what they quote, to themselves as well."""
    quoted = post(ANN, quote_from=control, mentions=[CAT.account])
    for by in ("bob", "cat", "dan"):
        candidate = Candidate(post(PEOPLE[by], quote=ref(quoted)), quoted=quoted)
        expected = Show(None if by in allowed else Reason.QUOTE_CONTROL)
        assert seen(PUBLIC, candidate, *on) == expected
        himself = viewer_of(PEOPLE[by].account, [], NOW_US)
        decision = seen(himself, candidate, *on)
        assert isinstance(decision, Show) and (decision.without_quote is None) == (by in allowed)
    assert seen(PUBLIC, Candidate(post(ANN, quote=ref(quoted)), quoted=quoted), *on) == SHOW


@pytest.mark.parametrize(
    ("records", "on", "reason"),
    [
        ([], [], None),
        ([said("block", ANN.account)], [], Reason.BLOCK),
        ([], [edge("block", "ann", "me")], Reason.BLOCK),
        ([said("mute", ANN.account)], [], Reason.MUTED_ACCOUNT),
        ([said("mute", ANN.account, reposts=True)], [], None),
        ([word("words")], [], Reason.MUTED_WORD),
    ],
)
def test_what_a_viewer_does_not_want_quoted(
    records: list[Record], on: list[Edge], reason: Reason | None
) -> None:
    quoted = post(ANN, "words")
    quoting = post(BOB, "look", quote=ref(quoted))
    assert seen(records, Candidate(quoting, quoted=quoted), *on) == Show(reason)
    unknown = reason if reason is not Reason.MUTED_WORD else None
    assert seen(records, Candidate(quoting), *on) == Show(unknown), "whose it is stands in the reference"


def test_a_deleted_post_is_not_quoted() -> None:
    for by in (ANN, BOB):
        quoting = Candidate(post(BOB, quote=ref(post(by))), quote_deleted=True)
        for viewer in (PUBLIC, viewer_of(by.account, [], NOW_US)):
            assert seen(viewer, quoting) == Show(Reason.DELETED)


LABELS = (
    Label(post(ANN).item, "spam", DAN.account, bytes(32), "So."),
    Label(post(ANN).item, "rude", DAN.account, bytes(32), "So.", negated=True),
)


def test_cautions_are_told_in_order() -> None:
    record = post(ANN, warning="food", labels=["nudity", "nudity", "gore"])
    expected = (
        Caution("warning", "food", ANN.account),
        Caution("self_label", "nudity", ANN.account, BUILT_IN["nudity"]),
        Caution("self_label", "gore", ANN.account, undefined("gore")),
        Caution("label", "spam", DAN.account, BUILT_IN["spam"]),
    )
    assert EVERYBODY.cautions(record, LABELS) == expected
    assert seen(PUBLIC, Candidate(record, labels=LABELS)) == Warn(expected)
    assert seen(PUBLIC, Candidate(post(ANN), labels=LABELS[1:])) == SHOW, "a label taken back says nothing"
    assert seen(PUBLIC, post(ANN, warning="", labels=[])) == SHOW


def test_a_caution_does_not_show_what_is_hidden() -> None:
    quoted = post(ANN, quote_from="nobody")
    careful = post(BOB, warning="food", quote=ref(quoted))
    decision = seen(PUBLIC, Candidate(careful, quoted=quoted))
    assert isinstance(decision, Warn) and decision.without_quote is Reason.QUOTE_CONTROL
    assert hidden(seen([said("block", BOB.account)], careful)) is Reason.BLOCK


names = st.sampled_from(sorted(PEOPLE))
flags = st.builds(edge, st.sampled_from(["follow", "block"]), names, names)
controls = st.sampled_from([None, "everyone", "following", "followers", "mentioned", "nobody"])


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    """An answer, a quote, a repost, or all at once, under any control."""

    def some(number: int) -> Record | None:
        if not draw(st.booleans()):
            return None
        said_of = {"reply_from": draw(controls), "quote_from": draw(controls)}
        body: dict[str, Any] = {name: control for name, control in said_of.items() if control is not None}
        mentions = [PEOPLE[name].account for name in draw(st.lists(names, max_size=2))]
        return post(PEOPLE[draw(names)], number=number, mentions=mentions, **body)

    parent, root, quoted = map(some, (1, 2, 3))
    body: dict[str, Any] = {}
    if parent:
        body["reply_to"] = ref(parent)
    if root:
        body["root"] = ref(root)
    if quoted:
        body["quote"] = ref(quoted)
    reposter = PEOPLE[draw(names)].account if draw(st.booleans()) else None
    record = post(PEOPLE[draw(names)], number=4, **body)
    return Candidate(record, parent, [root] if root else [], quoted, reposter=reposter)


@given(candidates(), st.frozensets(flags), st.sampled_from(PageKind))
def test_only_what_was_asked_about_decides(candidate: Candidate, on: frozenset[Edge], page: PageKind) -> None:
    """So that whoever builds a page looks up no more than that."""
    for viewer in (PUBLIC, viewer_of(ME.account, [], NOW_US)):
        audience = Audience(viewer, page, NOW_US)
        asked = audience.edges_asked([candidate])
        assert audience.decide(candidate, on) == audience.decide(candidate, on & asked)


@given(
    candidates(),
    st.frozensets(flags),
    st.sampled_from(PageKind),
    st.lists(st.tuples(st.sampled_from(["mute", "block"]), names), max_size=3),
)
def test_a_viewer_sees_no_more_than_everybody(
    candidate: Candidate, on: frozenset[Edge], page: PageKind, wishes: list[tuple[str, str]]
) -> None:
    """What nobody in particular is shown, no viewer is, but for their own posts; and public has no viewer."""
    records = [said(kind, PEOPLE[name].account) for kind, name in wishes if name != "me"]
    public = seen(PUBLIC, candidate, *on, page=page)
    viewed = seen(records, candidate, *on, page=page)
    if isinstance(public, Hide) and candidate.record.author != ME.account:
        assert isinstance(viewed, Hide)
    own = {post.author for post in (candidate.record, candidate.quoted) if post is not None}
    if not records and ME.account not in own | {each.other for each in on}:
        assert viewed == public
    assert hidden(public) in (None, Reason.REPLY_CONTROL)
