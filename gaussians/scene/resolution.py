"""`--resolution`: a fraction of the photos' size, or a width. Photos are never made larger."""

import math
from dataclasses import dataclass

from gaussians.errors import RecipeError

_LEAST_WIDTH = 16  # px; a smaller number was meant as a divisor


@dataclass(frozen=True)
class Resolution:
    """What was asked for. Exactly one of both is set.

    Attributes:
        fraction: of the full size, in (0, 1].
        width: pixels.
    """

    fraction: float | None = None
    width: int | None = None

    @staticmethod
    def parse(text: str | None) -> "Resolution":
        """Read "1/2", "0.5" or "800"; None is the full size.

        Raises:
            RecipeError: anything else.
        """
        if text is None:
            return Resolution(fraction=1.0)
        numerator, slash, denominator = text.partition("/")
        try:
            value = float(numerator) / (float(denominator) if slash else 1.0)
        except (ValueError, ZeroDivisionError):
            value = math.nan
        if 0 < value <= 1:
            return Resolution(fraction=value)
        if value >= _LEAST_WIDTH and value.is_integer() and not slash:
            return Resolution(width=int(value))
        hint = f"; did you mean 1/{text}?" if 1 < value < _LEAST_WIDTH and not slash else ""
        raise RecipeError(
            f"resolution {text!r}: give a fraction such as 1/2 or 0.5, or a width in pixels such as 800{hint}"
        )

    def scale(self, width: int, reduction: float) -> float:
        """The factor from an image of `width` pixels, itself `reduction` of full size, to the asked-for size.

        Above 1 where the image is too small.
        """
        if self.width is not None:
            return self.width / width
        assert self.fraction is not None
        return self.fraction / reduction

    def size(self, width: int, height: int, reduction: float) -> tuple[int, int]:
        """Width and height of the image to train on, made from one of `width` x `height`."""
        scale = self.scale(width, reduction)
        # A reduced copy of the right size may miss it by the rounding of one pixel: then it is used as it is.
        if scale > 1 - 1 / width:
            return width, height
        return max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5))
