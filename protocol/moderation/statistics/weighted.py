"""Shares of a population, from a sample whose members were drawn with different probabilities.

Each member counts 1/p times, p being the probability with which it was drawn (Horvitz and Thompson 1952), and
the share is the quotient of two such sums (Hájek 1971). How sure it is follows from its linearised variance:
with that a simple random sample of another size would be as sure, and the share is taken as so many of *so
many effectively*, to which all that is known of counted shares applies (Korn and Graubard 1998, "Confidence
Intervals for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data"). Where
none or all have it the linearised variance is nought and says nothing; then the size is Kish's (1965), which
is less than what was counted as far as weights differ.

All of it follows from sums, which can be added up wherever samples lie.
"""

from __future__ import annotations

from typing import NamedTuple

from folkmoot.protocol.moderation.statistics.proportions import Share


class Weights(NamedTuple):
    """The weights of some members of a sample, added up.

    Args:
        members: how many there are.
        sum: of their weights.
        squares: of their squared weights.
    """

    members: int = 0
    sum: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, weight: float) -> Weights:
        """One member that stands for so many; over 0."""
        return cls(1, weight, weight * weight)

    def plus(self, other: Weights) -> Weights:
        """Both together."""
        return Weights(self.members + other.members, self.sum + other.sum, self.squares + other.squares)

    def minus(self, part: Weights) -> Weights:
        """Those that are not in a part of them.

        Of sums of floats the last bits are lost, which may be all that is left: so the squares come to at
        least what so many weights with that sum can (Cauchy and Schwarz).
        """
        members = self.members - part.members
        if members <= 0:
            return NONE
        left = max(0.0, self.sum - part.sum)
        return Weights(members, left, max(left * left / members, self.squares - part.squares))


NONE = Weights()


def effective(having: Weights, all_of_them: Weights) -> Share:
    """The share of those that have something, as one of a simple random sample that is as sure.

    Args:
        having: a part of the sample.
        all_of_them: the sample.
    """
    total = all_of_them.sum
    if not all_of_them.members or total <= 0.0:
        return Share(0, 0)
    lacking = all_of_them.minus(having)
    value = min(max(having.sum / total, 0.0), 1.0) if lacking.members else 1.0
    spread = (1.0 - value) ** 2 * having.squares + value**2 * lacking.squares
    if not having.members or not lacking.members or spread <= 0.0:
        size = total * total / max(all_of_them.squares, total * total / all_of_them.members)
    else:
        size = value * (1.0 - value) * total * total / spread
    return Share(value * size, size)
