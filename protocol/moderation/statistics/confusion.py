"""What was said against what is so: accuracy, precision, recall, F1 and their mean over classes.

Macro-F1 is the mean of the classes' F1, so that a rare class counts as much as a common one. Its interval is
the delta method's for a multinomial table (Takahashi et al. 2022, Applied Intelligence 52:4961): a closed
form, where resampling would take long and another seed another answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

from folkmoot.protocol.moderation.statistics.proportions import CONFIDENCE, Interval, Share, standard_score


class Confusion:
    """A table of what is so (rows) against what was said (columns).

    Args:
        classes: how many there are; they are numbered from 0.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._cells = [[0] * classes for _ in range(classes)]

    @classmethod
    def of(cls, classes: int, pairs: Iterable[tuple[int, int]]) -> Confusion:
        """The table of pairs of what is so and what was said."""
        table = cls(classes)
        for so, said in pairs:
            table.add(so, said)
        return table

    def add(self, so: int, said: int) -> None:
        """Count one more."""
        self._cells[so][said] += 1

    @property
    def n(self) -> int:
        """How many were counted."""
        return sum(map(sum, self._cells))

    @property
    def accuracy(self) -> Share:
        """Of all, those that were said as they are."""
        return Share(sum(self._cells[each][each] for each in range(self.classes)), self.n)

    def precision(self, *of: int) -> Share:
        """Of those that were said to be one of some classes, those that are."""
        said = sum(row[column] for row in self._cells for column in of)
        return Share(self._inside(of), said)

    def recall(self, *of: int) -> Share:
        """Of those that are one of some classes, those that were said to be."""
        return Share(self._inside(of), sum(sum(self._cells[row]) for row in of))

    def f1(self, of: int) -> float:
        """The harmonic mean of precision and recall of one class; 0 where there is neither."""
        inside, around = self._inside((of,)), self._around(of)
        return 2.0 * inside / around if around else 0.0

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over all classes."""
        return sum(map(self.f1, range(self.classes))) / self.classes

    def macro_f1_interval(self, confidence: float = CONFIDENCE) -> Interval:
        """The interval of `macro_f1`; [0, 1] when nothing was counted."""
        total = self.n
        if not total:
            return Interval(0.0, 1.0)
        mean = mean_of_squares = 0.0
        for so, row in enumerate(self._cells):
            for said, count in enumerate(row):
                slope = self._slope(so, said, total)
                mean += count / total * slope
                mean_of_squares += count / total * slope * slope
        reach = standard_score(confidence) * sqrt(max(0.0, mean_of_squares - mean * mean) / total)
        return Interval(max(0.0, self.macro_f1 - reach), min(1.0, self.macro_f1 + reach))

    def _slope(self, so: int, said: int, total: int) -> float:
        """By how much `macro_f1` changes with the share of one cell of the table."""
        slope = 0.0
        for each in range(self.classes):
            around = self._around(each) / total
            if around:
                inside = self._cells[each][each] / total
                slope += 2.0 * (so == said == each) / around
                slope -= 2.0 * inside * ((so == each) + (said == each)) / (around * around)
        return slope / self.classes

    def _inside(self, of: tuple[int, ...]) -> int:
        return sum(self._cells[row][column] for row in of for column in of)

    def _around(self, of: int) -> int:
        return sum(self._cells[of]) + sum(row[of] for row in self._cells)
