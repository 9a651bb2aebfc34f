"""Which cells are seen, in which order, where on the area, and which of them fills it. Remembered as JSON."""

import math
from dataclasses import dataclass
from typing import Any

GAP = 6  # px between cells
SPARED = 16  # px of a cell's width that may be given up for its aspect


@dataclass(frozen=True)
class Rect:
    """A rectangle in pixels, relative to the area's top left corner."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies in it."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height

    def fitted(self, aspect: float) -> "Rect":
        """A rectangle of this aspect (width over height) in the middle of it, in whole pixels.

        Nearly the largest: of those up to SPARED px narrower than that, the one nearest to the aspect, since
        what is missing to it shows as a dark rim of photos, and as an error where they are compared.
        """
        widest = max(1, math.floor(min(self.width, math.floor(self.height) * aspect)))
        widths = range(widest, max(0, widest - SPARED), -1)
        width = min(widths, key=lambda w: round(abs(w / aspect - round(w / aspect)), 2))
        height = max(1, round(width / aspect))
        return Rect(self.x + (self.width - width) // 2, self.y + (self.height - height) // 2, width, height)


class Layout:
    """The grid's cells.

    Args:
        order: all cells that there may be, as they are shown at first.
        hidden: those that are hidden at first.
    """

    def __init__(self, order: tuple[str, ...], hidden: frozenset[str] = frozenset()) -> None:
        self._order = list(order)
        self._hidden = set(hidden)
        self._enlarged: str | None = None
        self._there: tuple[str, ...] = ()

    @property
    def enlarged(self) -> str | None:
        """The cell that fills the area, if any."""
        return self._enlarged if self._enlarged in self._there else None

    @property
    def shown(self) -> tuple[str, ...]:
        """The cells seen now, in their order."""
        if self.enlarged is not None:
            return (self.enlarged,)
        return self.in_grid

    @property
    def in_grid(self) -> tuple[str, ...]:
        """The cells that the grid holds while none is enlarged."""
        return tuple(name for name in self._order if name in self._there and name not in self._hidden)

    @property
    def there(self) -> tuple[str, ...]:
        """All cells that could be shown, hidden or not, in their order."""
        return tuple(name for name in self._order if name in self._there)

    def offer(self, cells: tuple[str, ...]) -> None:
        """Say which cells have something to show; new ones come last. Of several one is shown at least."""
        self._there = cells
        self._order.extend(name for name in cells if name not in self._order)
        if cells and not self.in_grid:
            self._hidden.discard(self.there[0])

    def toggle(self, cell: str) -> None:
        """Hide a cell that is seen, or show one that is not. The grid's last one can't be hidden."""
        if cell not in self.shown:
            self.show(cell)
        elif len(self.in_grid) > 1:
            self._hidden.add(cell)
            if self._enlarged == cell:
                self._enlarged = None

    def show(self, cell: str) -> None:
        """Put a cell into the grid; if another one was enlarged, this one is now."""
        self._hidden.discard(cell)
        if self._enlarged is not None:
            self._enlarged = cell

    def enlarge(self, cell: str) -> None:
        """Let a cell fill the area, or give it back its place if it does."""
        self._hidden.discard(cell)
        self._enlarged = None if self._enlarged == cell else cell

    def shrink(self) -> None:
        """Back to the grid."""
        self._enlarged = None

    def swap(self, first: str, second: str) -> None:
        """Let two cells change places."""
        i, j = self._order.index(first), self._order.index(second)
        self._order[i], self._order[j] = self._order[j], self._order[i]

    def places(self, width: float, height: float, aspect: float) -> dict[str, Rect]:
        """Where each shown cell's image lies: the grid that makes them largest, in the middle of the area.

        A last row with fewer cells is in the middle, too.

        Args:
            width, height: of the area, px.
            aspect: of the images, width over height.
        """
        shown = self.shown
        if not shown or width < 1 or height < 1:
            return {}
        columns = max(
            range(1, len(shown) + 1), key=lambda n: _image_area(len(shown), n, width, height, aspect)
        )
        rows = math.ceil(len(shown) / columns)
        room = Rect(0, 0, (width - GAP * (columns - 1)) / columns, (height - GAP * (rows - 1)) / rows)
        cell = room.fitted(aspect)
        across, along = cell.width + GAP, cell.height + GAP
        top = math.floor((height - rows * along + GAP) / 2)
        places = {}
        for index, name in enumerate(shown):
            row, column = divmod(index, columns)
            of_row = min(columns, len(shown) - row * columns)
            left = math.floor((width - of_row * across + GAP) / 2)
            places[name] = Rect(left + column * across, top + row * along, cell.width, cell.height)
        return places

    def at(self, x: float, y: float, width: float, height: float, aspect: float) -> str | None:
        """The cell at a point of the area, or None."""
        for name, place in self.places(width, height, aspect).items():
            if place.holds(x, y):
                return name
        return None

    def to_json(self) -> dict[str, Any]:
        """What is remembered between starts."""
        return {"order": self._order, "hidden": sorted(self._hidden)}

    @classmethod
    def from_json(cls, document: Any, order: tuple[str, ...], hidden: frozenset[str]) -> "Layout":
        """What `to_json` made; what can't be understood is as at first."""
        layout = cls(order, hidden)
        if isinstance(document, dict):
            kept, gone = document.get("order"), document.get("hidden")
            if isinstance(kept, list) and isinstance(gone, list) and _names([*kept, *gone]):
                layout._order = list(dict.fromkeys([*kept, *order]))
                layout._hidden = set(gone)
        return layout


def _names(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _image_area(cells: int, columns: int, width: float, height: float, aspect: float) -> float:
    rows = math.ceil(cells / columns)
    wide, high = (width - GAP * (columns - 1)) / columns, (height - GAP * (rows - 1)) / rows
    fitted = min(wide, high * aspect)
    return fitted * fitted / aspect if fitted > 0 else fitted
