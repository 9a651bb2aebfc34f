"""A student's budget: how many Gaussians it may have, said as a percentage, a count or a file size."""

import re
from dataclasses import dataclass
from fractions import Fraction

from gaussians.errors import RecipeError
from gaussians.io import splat_bytes, splats_within

_UNITS = {
    "": 1,  # a count
    "%": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:_\d+)*(?:\.\d+)?)\s*([a-z%]*)")
_WANTED = 'wanted is a percentage of the vanilla teacher "12%", a count "50000" or a file size "5MB"'


@dataclass(frozen=True)
class Budget:
    """A budget as it was asked for.

    Attributes:
        text: what the user wrote.
        amount: of Gaussians, percent or bytes; positive.
        unit: "count", "percent" or "bytes".
    """

    text: str
    amount: Fraction
    unit: str

    def count(self, vanilla_count: int, sh_degree: int) -> int:
        """The most Gaussians that keep to the budget, at least 1; never more than the vanilla teacher has.

        A file size is that of the student's PLY, exactly.

        Raises:
            RecipeError: not even one Gaussian fits.
        """
        return min(self._most(vanilla_count, sh_degree), vanilla_count)

    def exceeds(self, vanilla_count: int, sh_degree: int) -> bool:
        """Whether there is room for more than the vanilla teacher has. Raises as `count`."""
        return self._most(vanilla_count, sh_degree) > vanilla_count

    def _most(self, vanilla_count: int, sh_degree: int) -> int:
        """How many Gaussians keep to the budget, whether there are so many or not. Raises as `count`."""
        if self.unit == "percent":
            return max(1, int(self.amount / 100 * vanilla_count))
        if self.unit == "count":
            return int(self.amount)
        fitting = splats_within(int(self.amount), sh_degree)
        if fitting == 0:
            one = splat_bytes(1, sh_degree)
            raise RecipeError(f'budget "{self.text}": a PLY of a single Gaussian takes {one} bytes; raise it')
        return fitting


def parse_budget(text: str) -> Budget:
    """Read a budget: "12%", "12.5 %", "50000", "50_000", "5MB", "800 kB", "2MiB".

    Raises:
        RecipeError: not a budget, zero, more than 100 %, or a fraction of a Gaussian.
    """
    match = _NUMBER_AND_UNIT.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise RecipeError(f'budget "{text}": not understood; {_WANTED}')
    unit = {"": "count", "%": "percent"}.get(match[2], "bytes")
    amount = Fraction(match[1]) * _UNITS[match[2]]
    if amount == 0:
        raise RecipeError(f'budget "{text}": nothing would be left; {_WANTED}')
    if unit == "percent" and amount > 100:
        raise RecipeError(f'budget "{text}": more than the vanilla teacher has; at most "100%"')
    if unit == "count" and amount.denominator != 1:
        raise RecipeError(f'budget "{text}": a count is a whole number; {_WANTED}')
    return Budget(text, amount, unit)
