"""The invariants of the design that a simulated run is held to: one file a checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from folkmoot.node.simulation.checkers import (
    bounds,
    claims,
    convergence,
    epochs,
    errors,
    gate,
    indexes,
    join_laws,
    keeping,
    keys,
    media,
    no_return,
    pages,
    projections,
    quorum,
    recomputation,
    recovery,
    registers,
    review,
    sessions,
)
from folkmoot.node.simulation.checkers.verdict import Evidence, Verdict

CHECKERS: Final[tuple[Callable[[Evidence], Verdict], ...]] = (
    keeping.check,
    join_laws.check,
    convergence.check,
    epochs.check,
    quorum.check,
    no_return.check,
    claims.check,
    registers.check,
    sessions.check,
    recomputation.check,
    projections.check,
    indexes.check,
    media.check,
    pages.check,
    recovery.check,
    bounds.check,
    gate.check,
    review.check,
    keys.check,
    errors.check,
)
