"""Images on their way to the screen: raw float textures, uploaded in every frame that draws them."""

import dearpygui.dearpygui as dpg
import numpy as np

_REGISTRY = "textures"
MOST_SIZES = 3  # kept of each cell: small while moving, sharp when still, and the one before


class Texture:
    """One texture of a fixed size."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.is_new = True  # the toolkit shows a texture black in the first frame that draws it
        self._pixels = np.ones((height, width, 4), np.float32)
        self.tag = dpg.add_raw_texture(width, height, self._pixels, parent=_REGISTRY)  # pyright: ignore[reportArgumentType] - any buffer serves

    def upload(self, image: np.ndarray) -> None:
        """Show this image, [H, W, 3] uint8 of the texture's size, from the next frame on."""
        np.multiply(image, np.float32(1 / 255), out=self._pixels[..., :3])

    def delete(self) -> None:
        """Free it. Nothing may draw it any more."""
        dpg.delete_item(self.tag)


class Textures:
    """The textures of all cells, by cell and size."""

    def __init__(self) -> None:
        dpg.add_texture_registry(tag=_REGISTRY)
        self._cells: dict[str, dict[tuple[int, int], Texture]] = {}
        self._dead: list[Texture] = []

    def show(self, cell: str, image: np.ndarray) -> Texture:
        """The cell's texture of the image's size, with this image on it."""
        sizes = self._cells.setdefault(cell, {})
        size = (image.shape[1], image.shape[0])
        texture = sizes.pop(size, None) or Texture(*size)
        sizes[size] = texture  # the newest last
        if len(sizes) > MOST_SIZES:
            self._dead.append(sizes.pop(next(iter(sizes))))
        texture.upload(image)
        return texture

    def drawn(self) -> None:
        """A frame was drawn: what it no longer shows can go."""
        for sizes in self._cells.values():
            for texture in sizes.values():
                texture.is_new = False
        for texture in self._dead:
            texture.delete()
        self._dead.clear()
