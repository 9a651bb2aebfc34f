"""The area with the cells: images, labels, and what the mouse does on them."""

from collections.abc import Callable
from dataclasses import dataclass

import dearpygui.dearpygui as dpg
import numpy as np

from app import text
from app.compare import Mode
from app.comparison import is_of
from app.containers import inside
from app.layout import Rect
from app.paint import DRAWING, draw_bar, draw_comparison, draw_plate, draw_waiting
from app.state import COMPARE, DISAGREEMENT, PHOTO
from app.studio import FIRST, SECOND, Studio
from app.textures import Texture, Textures
from app.theme import BACK, LINE
from gaussians.session.heat import heat_colors
from gaussians.session.messages.frame import IMAGE

AREA = "viewport"
GRIP = 10  # px on either side of the divider that take hold of it
WAITING = {
    PHOTO: ("Ground truth is seen from the photos' places.", "Press N for the next one."),
    COMPARE: ("Waiting for both images.", "Ground truth needs a photo's place: press N."),
}


@dataclass
class _Drag:
    """What a pressed mouse button does: "orbit", "pan", "zoom" or "divider"."""

    what: str
    x: float
    y: float


class Viewport:
    """Draws the cells, and turns the mouse into camera movement.

    Args:
        studio: what is shown.
        on_menu: called with the cell that was right-clicked.
    """

    def __init__(self, studio: Studio, on_menu: Callable[[str], None]) -> None:
        self._studio, self._on_menu = studio, on_menu
        self._textures = Textures()
        self._shown: dict[str, Texture] = {}
        self._before: dict[str, Texture] = {}  # what each cell showed last
        self._drawn: tuple | None = None
        self._drag: _Drag | None = None
        self._composed: tuple | None = None
        self._pressed_at = (0.0, 0.0)
        self.size = (0.0, 0.0)
        self.scale = 1.0
        self._bar = np.ascontiguousarray(heat_colors(np.linspace(0, 1, 256))[None].repeat(8, axis=0))

    def build(self, parent: int | str) -> None:
        """Make the area."""
        with inside(
            dpg.add_child_window(
                tag=AREA, parent=parent, no_scrollbar=True, no_scroll_with_mouse=True, border=False
            )
        ):
            dpg.add_drawlist(16, 16, tag=DRAWING)
        self._bar_texture = self._textures.show("colour bar", self._bar)

    def resize(self, width: int, height: int, scale: float) -> None:
        """Take this much room, px."""
        self.size, self.scale = (float(width), float(height)), scale
        dpg.configure_item(AREA, width=width, height=height)
        dpg.configure_item(DRAWING, width=width, height=height)

    @property
    def hovered(self) -> bool:
        """Whether the mouse is over the area, with nothing in between."""
        return bool(dpg.is_item_hovered(DRAWING))

    @property
    def dragging(self) -> bool:
        """Whether the camera is being moved by the mouse."""
        return self._drag is not None and self._drag.what != "divider"

    def places(self) -> dict[str, Rect]:
        """Where the images of all shown cells are, relative to the area."""
        return self._studio.layout.places(*self.size, self._studio.aspect)

    def cell_at_mouse(self) -> str | None:
        """The cell under the mouse."""
        x, y = self.mouse()
        return self._studio.layout.at(x, y, *self.size, self._studio.aspect)

    def mouse(self) -> tuple[float, float]:
        """The mouse's place, relative to the area."""
        (x, y), (left, top) = dpg.get_mouse_pos(local=False), dpg.get_item_rect_min(DRAWING)
        return x - left, y - top

    def press(self, button: int) -> None:
        """A button went down over the area."""
        x, y = self.mouse()
        cell = self.cell_at_mouse()
        if cell is None or self._studio.control is None:
            return
        self._pressed_at = (x, y)
        shift = dpg.is_key_down(dpg.mvKey_LShift) or dpg.is_key_down(dpg.mvKey_RShift)
        what = {dpg.mvMouseButton_Left: "pan" if shift else "orbit", dpg.mvMouseButton_Middle: "pan"}.get(
            button
        )
        if button == dpg.mvMouseButton_Right:
            what = "pan"
        elif button == dpg.mvMouseButton_Left and cell == COMPARE and self._grabs_divider(x):
            what = "divider"
        if what:
            self._drag = _Drag(what, x, y)

    def release(self, button: int) -> None:
        """A button went up. A right click that did not move opens the cell's menu."""
        self._drag = None
        x, y = self.mouse()
        still = abs(x - self._pressed_at[0]) + abs(y - self._pressed_at[1]) < 4
        if button == dpg.mvMouseButton_Right and still and self.hovered:
            cell = self.cell_at_mouse()
            if cell is not None:
                self._on_menu(cell)

    def move(self) -> bool:
        """Follow the mouse while a button is down; whether the camera moved."""
        drag, control = self._drag, self._studio.control
        if drag is None or control is None:
            return False
        x, y = self.mouse()
        right, down = x - drag.x, y - drag.y
        if right == 0 and down == 0:
            return False
        drag.x, drag.y = x, y
        if drag.what == "divider":
            self._move_divider(x)
            return False
        if drag.what == "orbit":
            control.orbit(right / self.scale, down / self.scale)
        else:
            for place in list(self.places().values())[:1]:
                control.pan(right, down, int(place.height))
        return True

    def double_click(self) -> None:
        """Enlarge the cell under the mouse, or put it back."""
        cell = self.cell_at_mouse()
        if cell is not None:
            self._studio.layout.enlarge(cell)

    def draw(self, fresh: set[str]) -> None:
        """Bring new images to their textures; draw all anew if anything else has changed."""
        studio = self._studio
        places = self.places()
        for cell in places:
            if cell == COMPARE:
                self._compose(fresh)
            elif cell in fresh:
                self._show(cell, studio.frames[cell].image, places[cell])
        labels = {cell: self._label(cell) for cell in places}
        images = {cell: self._images(cell) for cell in places if self._has_image(cell)}
        comparison = studio.comparison
        compared = (self._compared, comparison.flipped)
        how = (comparison.mode, comparison.share, comparison.most, comparison.mean, studio.flip.problem)
        key = (places, labels, images, compared, how, self.size, self.scale)
        if key != self._drawn:
            self._drawn = key
            dpg.delete_item(DRAWING, children_only=True)
            for cell, place in places.items():
                self._draw_cell(cell, place, images.get(cell, ()), labels[cell])

    def drawn(self) -> None:
        """A frame was drawn."""
        if not self._textures.drawn():
            self.forget()
            self._drawn = None
            self._bar_texture = self._textures.show("colour bar", self._bar)
            places = self.places()
            for cell, frame in self._studio.frames.items():
                if cell in places:
                    self._show(cell, frame.image, places[cell])

    def forget(self) -> None:
        """Something else was opened: no image is of it."""
        self._shown.clear()
        self._before.clear()
        self._composed = None

    def _show(self, cell: str, image: np.ndarray, place: Rect) -> None:
        before = self._shown.get(cell)
        smooth = image.shape[:2] != (int(place.height), int(place.width))
        self._shown[cell] = self._textures.show(cell, image, smooth=smooth)
        if before is not None:
            self._before[cell] = before

    def _images(self, cell: str) -> tuple[int | str, ...]:
        """The cell's texture; over one that is new, for a frame, the one before: nothing flickers."""
        texture, before = self._shown[cell], self._before.get(cell)
        return (texture.tag, before.tag) if texture.is_new and before is not None else (texture.tag,)

    def _has_image(self, cell: str) -> bool:
        if cell not in self._shown:
            return False
        return cell != PHOTO or self._on_photo

    @property
    def _on_photo(self) -> bool:
        """Whether the camera is at a photo's place."""
        return self._studio.control is not None and self._studio.control.dataset is not None

    @property
    def _compared(self) -> tuple[str, str]:
        """The models in the comparison cell."""
        frames = self._studio.frames
        return self._studio.comparison.models(frames.get(FIRST), frames.get(SECOND))

    def _compose(self, fresh: set[str]) -> None:
        comparison, frames = self._studio.comparison, self._studio.frames
        wanted = [frames.get(FIRST), frames.get(SECOND)]
        names = (comparison.first, comparison.second)
        for frame, name in zip(wanted, names, strict=True):
            if (
                frame is None
                or not is_of(frame.model, name)
                or (name == PHOTO and not self._on_photo)
                or (comparison.is_error and frame.style != IMAGE)
            ):
                self._shown.pop(COMPARE, None)
                self._composed = None
                return
        first, second = wanted
        assert first is not None
        assert second is not None
        how = (comparison.mode, comparison.share, comparison.flipped, comparison.most)
        flip = self._studio.flip.of(first, second) if comparison.mode is Mode.FLIP_MAP else None
        key = (*names, id(first), id(second), id(flip), *how)
        if key != self._composed:
            self._composed = key
            image = comparison.image(first.image, second.image, flip)
            self._show(COMPARE, image, self.places()[COMPARE])

    def _grabs_divider(self, x: float) -> bool:
        if self._studio.comparison.mode is not Mode.DIVIDER:
            return False
        place = self.places()[COMPARE]
        return abs(x - place.x - self._studio.comparison.share * place.width) <= GRIP * self.scale

    def _move_divider(self, x: float) -> None:
        place = self.places().get(COMPARE)
        if place is not None:
            self._studio.comparison.share = min(max((x - place.x) / place.width, 0.0), 1.0)

    def _label(self, cell: str) -> tuple[str, tuple[str, ...]]:
        """The cell's title, and its facts."""
        studio = self._studio
        if cell == COMPARE:
            return "", ()
        frame = studio.frames.get(cell)
        title = text.model(frame.model if frame is not None else cell)
        facts = []
        if frame is not None and cell not in (PHOTO, DISAGREEMENT):
            drawn = frame.extra.get("drawn")
            facts.append(text.gaussians(frame.count) if drawn is None else text.some(drawn, frame.count))
            if frame.psnr is not None and self._on_photo:
                facts.append(f"{frame.psnr:.2f} dB")
        if cell == PHOTO and studio.control is not None and studio.control.dataset is not None:
            facts.append(studio.control.dataset)
        return title, tuple(facts)

    def _draw_cell(
        self, cell: str, place: Rect, images: tuple[int | str, ...], label: tuple[str, tuple[str, ...]]
    ) -> None:
        # Whole pixels: an image of the cell's size is shown as it is.
        low = (round(place.x), round(place.y))
        high = (low[0] + int(place.width), low[1] + int(place.height))
        if not images:
            dpg.draw_rectangle(low, high, color=LINE, fill=BACK, parent=DRAWING)
        for image in images:
            dpg.draw_image(image, low, high, parent=DRAWING)
        if not images:
            draw_waiting(self.scale, place, WAITING.get(cell, ("Rendering…",)))
        if cell == COMPARE:
            comparison, problem = self._studio.comparison, self._studio.flip.problem
            bar, models = self._bar_texture.tag, self._compared
            draw_comparison(self.scale, bar, place, comparison, models, bool(images), problem)
            return
        draw_plate(self.scale, place, place.x, label[0], *label[1])
        if cell == DISAGREEMENT and images:
            draw_bar(self.scale, self._bar_texture.tag, place, self._spread_label())

    def _spread_label(self) -> str:
        frame = self._studio.frames.get(DISAGREEMENT)
        most = frame.extra.get("scale") if frame is not None else None
        return f"{most:.2g}" if isinstance(most, float) else "most"
