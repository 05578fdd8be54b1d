"""What a feed algorithm is: a document that says where posts come from, which stay, and what they are worth.

It is the body of a record, so it is canonical: there are no fractions in it, and weights are thousandths. Its
*shape* is part of the contract and decides whether a record is valid. Whether its expressions compile (see
`program`) is not: that follows a library, and nodes whose versions differ could not exchange the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from msgspec import UNSET, Meta, Struct, UnsetType, field


class Origin(StrEnum):
    """Where posts come from. A document may name others: nodes of later versions have more."""

    FOLLOWING = "following"  # the home feed
    FRIENDS = "friends"  # what those post whom those follow whom the reader follows
    TAGS = "tags"  # posts with certain tags
    SIMILAR = "similar"  # of these two, those that are nearest in meaning to what the reader writes


_Code = Annotated[str, Meta(min_length=1, max_length=limits.EXPRESSION_CODE_POINTS)]
_Tag = Annotated[str, Meta(min_length=1, max_length=limits.POST_TAG_CODE_POINTS)]
_Weight = Annotated[int, Meta(ge=-limits.ALGORITHM_WEIGHT_MAX, le=limits.ALGORITHM_WEIGHT_MAX)]


class Source(Struct, frozen=True):
    """Some of the posts that may come into the feed.

    Args:
        origin: `from` in the document; one of `Origin` for a node that has no other.
        limit: at most so many, the newest.
        tags: for `tags`: which; without, those that the reader uses.
        optional: whether a node that does not have the source leaves it out.
    """

    origin: Annotated[str, Meta(min_length=1, max_length=limits.ALGORITHM_WORD_CHARACTERS)] = field(
        name="from"
    )
    limit: Annotated[int, Meta(ge=1, le=limits.RANKED_CANDIDATES)] = limits.RANKED_SOURCE_ITEMS
    tags: Annotated[tuple[_Tag, ...], Meta(min_length=1, max_length=limits.RANKED_TAGS)] | UnsetType = UNSET
    optional: bool = False


class Term(Struct, frozen=True):
    """A part of the score: weight · value · 2^(-age/half-life).

    Args:
        name: what people are told it is.
        value: an expression whose value is a number, or true or false, which are 1 and 0.
        weight: in thousandths.
        half_life_s: after so many seconds it is worth half; without, always the same.
    """

    name: Annotated[str, Meta(min_length=1, max_length=limits.ALGORITHM_WORD_CHARACTERS)]
    value: _Code
    weight: _Weight
    half_life_s: Annotated[int, Meta(ge=1, le=limits.ALGORITHM_HALF_LIFE_S)] | UnsetType = UNSET


class Document(Struct, frozen=True, omit_defaults=True):
    """See the module.

    Args:
        title, about: for people.
        sources: where posts come from.
        filters: expressions of which each must be true for a post to stay.
        terms: what adds up to the score.
        per_author: at most so many posts of one author, the best.
    """

    title: Annotated[str, Meta(min_length=1, max_length=limits.ALGORITHM_TITLE_CODE_POINTS)]
    sources: Annotated[tuple[Source, ...], Meta(min_length=1, max_length=limits.ALGORITHM_SOURCES)]
    terms: Annotated[tuple[Term, ...], Meta(min_length=1, max_length=limits.ALGORITHM_TERMS)]
    about: Annotated[str, Meta(max_length=limits.ALGORITHM_ABOUT_CODE_POINTS)] | UnsetType = UNSET
    filters: Annotated[tuple[_Code, ...], Meta(max_length=limits.ALGORITHM_FILTERS)] | UnsetType = UNSET
    per_author: Annotated[int, Meta(ge=1, le=limits.RANKED_CANDIDATES)] | UnsetType = UNSET


def parse_document(value: object) -> Document:
    """Read a document; keys that are not known are passed by.

    Raises:
        WireError: `bad_request`, saying which part is not as described above.
    """
    document = codec.shaped(value, Document, "an algorithm's document")
    names = [term.name for term in document.terms]
    if len(set(names)) < len(names):
        raise WireError(BAD_REQUEST, "an algorithm's document: two terms have one name")
    length = sum(map(len, expressions_of(document)))
    if length > limits.ALGORITHM_CODE_POINTS:
        raise WireError(
            BAD_REQUEST,
            f"an algorithm's document: its expressions have {length} characters; "
            f"the limit is {limits.ALGORITHM_CODE_POINTS}",
        )
    return document


def expressions_of(document: Document) -> tuple[str, ...]:
    """The expressions of a document: its filters, and the values of its terms."""
    return (*filters_of(document), *(term.value for term in document.terms))


def filters_of(document: Document) -> tuple[str, ...]:
    """The filters of a document, which may have none."""
    return () if document.filters is UNSET else document.filters


def version_of(value: Mapping[str, Any]) -> bytes:
    """What names a document that no record holds: the SHA-256 of its canonical form (32 bytes)."""
    return hashlib.sha256(codec.encode_canonical(value)).digest()
