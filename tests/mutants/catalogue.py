"""All mutants, by name. A new room of bugs is one more import here."""

from __future__ import annotations

from tests.mutants import (
    of_accounts,
    of_backups,
    of_bounds,
    of_gate,
    of_media,
    of_membership,
    of_moving,
    of_pages,
    of_projections,
    of_reads,
    of_registers,
    of_search,
    of_splitting,
    of_standing,
    of_storage,
    of_writes,
)
from tests.mutants.mutant import MUTANTS

__all__ = [
    "MUTANTS",
    "of_accounts",
    "of_backups",
    "of_bounds",
    "of_gate",
    "of_media",
    "of_membership",
    "of_moving",
    "of_pages",
    "of_projections",
    "of_reads",
    "of_registers",
    "of_search",
    "of_splitting",
    "of_standing",
    "of_storage",
    "of_writes",
]
