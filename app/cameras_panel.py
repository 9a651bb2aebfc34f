"""The dataset's views as a list with thumbnails: a click jumps there."""

from typing import Any

import dearpygui.dearpygui as dpg
import numpy as np

from app.containers import inside
from app.studio import Studio
from app.theme import Look
from app.thumbnails import Thumbnails, nearest_rows
from gaussians.session.messages.reports import SceneOpened

WIDTH = 92  # px of a thumbnail at scale 1
_NONE = "no thumbnail"  # the texture of those that are not ready


class CamerasPanel:
    """One row a view. Only those in sight and near it have their thumbnail; the others have an empty one."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look
        self._opened: SceneOpened | None = None
        self._here: str | None = None
        self._scale = 0.0
        self._window: int | str = 0
        self._rows: list[int | str] = []
        self._thumbnails = Thumbnails()
        self._textures: dict[str, int | str] = {}
        dpg.add_texture_registry(tag="thumbnails")

    def build(self, parent: int | str) -> None:
        """Make the widgets.

        Args:
            parent: the window that scrolls.
        """
        self._window = parent
        with inside(dpg.add_group(parent=parent)):
            empty = "The photos' places are listed here. A splat file has none."
            dpg.bind_item_theme(dpg.add_text(empty, tag="no views", wrap=0), self._look.faint)
            dpg.add_group(tag="views")

    def refresh(self) -> None:
        """Follow what is open, and where the camera is."""
        opened, scale = self._studio.state.opened, dpg.get_global_font_scale()
        if opened is not self._opened or scale != self._scale:
            self._opened, self._scale, self._here = opened, scale, None
            self._make()
        control = self._studio.control
        here = control.target if control is not None else None
        if here != self._here:
            for name in (self._here, here):
                if name is not None and dpg.does_item_exist(f"view {name}"):
                    dpg.set_value(f"view {name}", name == here)
            self._here = here
        self._follow_scroll()

    def _make(self) -> None:
        dpg.delete_item("views", children_only=True)
        dpg.delete_item("thumbnails", children_only=True)
        self._rows.clear()
        self._textures.clear()
        self._thumbnails.forget()
        dpg.add_static_texture(1, 1, (0.0, 0.0, 0.0, 0.0), tag=_NONE, parent="thumbnails")
        opened = self._opened
        names = self._studio.view_names
        dpg.configure_item("no views", show=not names)
        if opened is None:
            return
        for name in names:
            with inside(dpg.add_group(horizontal=True, parent="views")) as row:
                self._rows.append(row)
                image = opened.thumbnails.get(name)
                high = round(WIDTH * self._scale * 0.6)
                if image is not None:
                    wide = round(WIDTH * self._scale)
                    high = round(wide * image.shape[0] / image.shape[1])
                    dpg.add_image_button(
                        _NONE,
                        tag=f"thumbnail {name}",
                        width=wide,
                        height=high,
                        frame_padding=0,
                        user_data=name,
                        callback=lambda _, __, name: self._studio.go_to(name),
                    )
                dpg.add_selectable(
                    label=f"{name}\n{'held out' if name in opened.test else 'trained on'}",
                    tag=f"view {name}",
                    height=high,
                    user_data=name,
                    callback=lambda _, __, name: self._choose(name),
                )

    def _follow_scroll(self) -> None:
        """Give thumbnails to the rows in sight, then to a window full below and above; a few a frame."""
        opened = self._opened
        if opened is None or not opened.thumbnails:
            return
        rows = nearest_rows(
            len(self._rows),
            lambda row: dpg.get_item_pos(self._rows[row])[1],
            dpg.get_y_scroll(self._window),
            dpg.get_item_rect_size(self._window)[1],
        )
        names = self._studio.view_names
        near = [names[row] for row in rows if names[row] in opened.thumbnails]
        new, old = self._thumbnails.see(near)
        for name in old:
            dpg.configure_item(f"thumbnail {name}", texture_tag=_NONE)
            dpg.delete_item(self._textures.pop(name))
        for name in new:
            self._textures[name] = _texture(opened.thumbnails[name])
            dpg.configure_item(f"thumbnail {name}", texture_tag=self._textures[name])

    def _choose(self, name: str) -> None:
        self._studio.go_to(name)
        dpg.set_value(f"view {name}", True)


def _texture(image: np.ndarray) -> int | str:
    """A texture that never changes, of [H, W, 3] uint8."""
    pixels = np.ones((*image.shape[:2], 4), np.float32)
    pixels[..., :3] = image / np.float32(255)
    values: Any = pixels.ravel()  # declared as a list, but any buffer serves, ten times as fast
    return dpg.add_static_texture(image.shape[1], image.shape[0], values, parent="thumbnails")
