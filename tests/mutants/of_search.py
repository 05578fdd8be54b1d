"""Bugs of search: the index is not what the store is."""

from __future__ import annotations

from folkmoot.node.simulation.schedule import MOVES
from folkmoot.protocol.search.documents import Document
from folkmoot.storage.interface import Transaction
from folkmoot.storage.search import following
from folkmoot.storage.search.index import IndexWriting
from folkmoot.storage.store import Store

from tests.mutants.mutant import ORDINARY, Plant, mutant


@mutant("deleted-and-still-found", "a post that is deleted stays in the index", "search")
def deleted_and_still_found(plant: Plant) -> None:
    real = IndexWriting.put

    def put(self: IndexWriting, key: bytes, document: Document | None) -> None:
        if document is not None:
            real(self, key, document)

    plant.setattr(IndexWriting, "put", put)


@mutant("words-of-edits-stay", "an edited post is found by what it said first", "search")
def words_of_edits_stay(plant: Plant) -> None:
    real = IndexWriting.put

    def put(self: IndexWriting, key: bytes, document: Document | None) -> None:
        if document is None or not self.holds(key):
            real(self, key, document)

    plant.setattr(IndexWriting, "put", put)


@mutant("read-on-from-the-head", "what is left of a long log is passed over", "search")
def read_on_from_the_head(plant: Plant) -> None:
    real = following._changes

    def changes(transaction: Transaction, lanes: list[int], after: int, known: int) -> object:
        found, _ = real(transaction, lanes, after, known)
        return found[:1], known

    plant.setattr(following, "_changes", changes)


@mutant(
    "erased-and-still-found",
    "posts of ranges that moved away stay in the index",
    "search",
    faults=(*ORDINARY, MOVES),
)
def erased_and_still_found(plant: Plant) -> None:
    def prune(writing: IndexWriting, store: Store, lanes: list[int]) -> bool:
        return True

    plant.setattr(following, "_prune", prune)
