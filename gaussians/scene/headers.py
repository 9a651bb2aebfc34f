"""What an image file says of itself before its pixels are decoded."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from gaussians.errors import SceneError

ORIENTATION = 0x0112
"""EXIF tag."""
_SWAPS_AXES = (5, 6, 7, 8)

BROKEN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
"""What Pillow raises for files that are no images, or half of one."""


@dataclass(frozen=True)
class Header:
    """Size and kind of an image file.

    Attributes:
        stored_width, stored_height: pixels, as they lie in the file.
        orientation: EXIF orientation 1 to 8; 1: as stored.
        has_alpha: it can be transparent.
    """

    stored_width: int
    stored_height: int
    orientation: int
    has_alpha: bool

    def size(self, upright: bool) -> tuple[int, int]:
        """Width and height, as the EXIF orientation shows them or as stored."""
        if upright and self.orientation in _SWAPS_AXES:
            return self.stored_height, self.stored_width
        return self.stored_width, self.stored_height


def read_header(path: Path) -> Header:
    """Read an image's header. Raises SceneError if the file is missing, empty or not an image."""
    try:
        with Image.open(path) as image:
            return Header(*_stored_size(image), orientation_of(image), has_alpha(image))
    except BROKEN_IMAGE as error:
        raise broken_image(path, error) from error


def has_alpha(image: Image.Image) -> bool:
    """Whether an opened image can be transparent."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def broken_image(path: Path, error: Exception) -> SceneError:
    """The error for an image file that Pillow refused."""
    try:
        size = path.stat().st_size
    except OSError:
        return SceneError(f"{path}: no such image; put it there, or delete it from the scene.")
    if size == 0:
        reason = "the file is empty (0 bytes)"
    elif isinstance(error, UnidentifiedImageError):
        reason = "not an image in a known format"
    else:
        # The system's own errors say the path again.
        said = getattr(error, "strerror", None) or str(error)
        reason = said.splitlines()[0] if said else type(error).__name__
    return SceneError(f"{path}: cannot be read as an image: {reason}; copy it again, or remove it.")


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an opened image, 1 to 8. Of a TIFF it's gone once its pixels are read."""
    # Asking a PNG that has no EXIF chunk for it would make Pillow decode the pixels.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    orientation = image.getexif().get(ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as they lie in the file."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # its size is that of the photo turned upright
        return (image.tag_v2[TiffImagePlugin.IMAGEWIDTH], image.tag_v2[TiffImagePlugin.IMAGELENGTH])
    return image.size
