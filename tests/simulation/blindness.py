"""Taking from a cluster what finds out disks that went back, so that other mistakes with disks show."""

from __future__ import annotations

import pytest
from folkmoot.node.actors import recollection
from folkmoot.protocol import standing
from folkmoot.protocol.standing import Finding, Mark, Statement


def blind_to_old_disks(plant: pytest.MonkeyPatch) -> None:
    """Nobody finds anything wrong with what a node says of its disk, and it needs nobody to say so."""

    def judge(known: Mark, statement: Statement) -> Finding:
        return Finding.FITS

    plant.setattr(standing, "judge", judge)
    plant.setattr(recollection, "judge", judge)
    plant.setattr(standing, "majority_of_others", lambda others: 0)
