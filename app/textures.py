"""Images on their way to the screen."""

import dearpygui.dearpygui as dpg
import numpy as np

from app.opengl import OpenGL, open_gl

_REGISTRY, _STAGE = "textures", "textures at rest"
MOST_SIZES = 3  # kept of each cell by PlainTextures: small while moving, sharp when still, and the one before
_MARK = 8  # px: side of the pattern by which a new texture is found


class Texture:
    """What the toolkit draws: `tag`. While `is_new` it shows nothing yet."""

    def __init__(self, pixels: np.ndarray) -> None:
        """pixels: [H, W, 4] float32, which the toolkit goes on reading."""
        height, width = pixels.shape[:2]
        self.is_new = True
        self.pixels = pixels
        self.tag = dpg.add_raw_texture(width, height, pixels, parent=_REGISTRY)  # pyright: ignore[reportArgumentType] - any buffer serves

    def rest(self) -> None:
        """Have it drawn, but no longer uploaded in every frame, as all that is in the registry is."""
        dpg.move_item(self.tag, parent=_STAGE)


class Textures:
    """The textures of all cells; of one kind or the other, as the machine has it."""

    def __init__(self) -> None:
        dpg.add_texture_registry(tag=_REGISTRY)
        dpg.add_stage(tag=_STAGE)
        gl = open_gl()
        self._direct = None if gl is None else DirectTextures(gl)
        self._plain = PlainTextures()

    def show(self, cell: str, image: np.ndarray, *, smooth: bool = True) -> Texture:
        """The cell's texture, with an image on it.

        Args:
            cell: its name.
            image: [H, W, 3] uint8, contiguous, not written to again.
            smooth: whether it is drawn at another size than its own.
        """
        if self._direct is not None:
            return self._direct.show(cell, image, smooth=smooth)
        return self._plain.show(cell, image)

    def drawn(self) -> bool:
        """A frame was drawn. False: textures that were given out before are not valid any more."""
        if self._direct is not None and not self._direct.drawn():
            self._direct = None
            return False
        self._plain.drawn()
        return True


class DirectTextures:
    """One texture a cell, whatever its size, written to by OpenGL."""

    def __init__(self, gl: OpenGL) -> None:
        self._gl = gl
        self._random = np.random.default_rng()
        self._cells: dict[str, Texture] = {}
        self._marks: dict[str, np.ndarray] = {}  # of textures that have no name yet
        self._waiting: dict[str, tuple[np.ndarray, bool]] = {}  # their images
        self._names: dict[str, int] = {}
        self._sizes: dict[str, tuple[int, ...]] = {}

    def show(self, cell: str, image: np.ndarray, *, smooth: bool) -> Texture:
        """See `Textures.show`."""
        if cell not in self._cells:
            # Nearly black, and like no other.
            mark = self._random.integers(0, 8, (_MARK, _MARK, 4), np.uint8)
            self._marks[cell] = mark
            self._cells[cell] = Texture(mark.astype(np.float32) / 255)
        if cell in self._names:
            self._upload(cell, image, smooth)
        else:
            self._waiting[cell] = (image, smooth)
        return self._cells[cell]

    def drawn(self) -> bool:
        """A frame was drawn, so new textures exist; False: they are not where OpenGL would have them."""
        for cell, mark in list(self._marks.items()):
            name = self._gl.find(mark)
            if name is None:
                return False
            del self._marks[cell]
            self._names[cell] = name
            self._cells[cell].rest()
            self._cells[cell].is_new = False
            self._upload(cell, *self._waiting.pop(cell))
        return True

    def _upload(self, cell: str, image: np.ndarray, smooth: bool) -> None:
        resize = self._sizes.get(cell) != image.shape
        self._sizes[cell] = image.shape
        self._gl.upload(self._names[cell], image, resize=resize, smooth=smooth)


class PlainTextures:
    """A texture a cell and size, uploaded by the toolkit for two frames: it shows what it had a frame ago."""

    def __init__(self) -> None:
        self._cells: dict[str, dict[tuple[int, int], Texture]] = {}
        self._uploads: dict[int | str, tuple[Texture, int]] = {}  # and the frames that it still takes
        self._dead: list[Texture] = []

    def show(self, cell: str, image: np.ndarray) -> Texture:
        """See `Textures.show`."""
        sizes = self._cells.setdefault(cell, {})
        size = (image.shape[1], image.shape[0])
        texture = sizes.pop(size, None) or Texture(np.ones((size[1], size[0], 4), np.float32))
        sizes[size] = texture  # the newest last
        if len(sizes) > MOST_SIZES:
            self._dead.append(sizes.pop(next(iter(sizes))))
        np.multiply(image, np.float32(1 / 255), out=texture.pixels[..., :3])
        if not texture.is_new and texture.tag not in self._uploads:
            dpg.move_item(texture.tag, parent=_REGISTRY)
        self._uploads[texture.tag] = (texture, 2)
        return texture

    def drawn(self) -> None:
        """A frame was drawn: what it no longer shows can go."""
        for tag, (texture, frames) in list(self._uploads.items()):
            texture.is_new = False
            if frames > 1:
                self._uploads[tag] = (texture, frames - 1)
            else:
                del self._uploads[tag]
                texture.rest()
        for texture in self._dead:
            self._uploads.pop(texture.tag, None)
            dpg.delete_item(texture.tag)
        self._dead.clear()
