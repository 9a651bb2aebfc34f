"""Pixels of one image file: decoded, turned upright, composited, undistorted, resampled.

Transparency is composited before anything else. Every later step is a weighted mean with weights that sum to
one, so the result is that of filtering premultiplied colour and alpha, and compositing last.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from gaussians.errors import SceneError
from gaussians.scene.headers import BROKEN_IMAGE, broken_image, has_alpha, orientation_of
from gaussians.scene.lens import Face

OPAQUE = 255
_MOST_LABELS = 20  # a mask without anything brighter holds numbers of things: a photo so dark shows nothing
_LOSSY = (".jpg", ".jpeg")  # there, what is nearly black is noise
_STORED_AGAIN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""From an upright image back to the file's, by EXIF orientation."""


def decode(path: Path, upright: bool) -> np.ndarray:
    """[H, W, 3] uint8, or [H, W, 4] where the file has transparency (not premultiplied).

    Args:
        path: an image file.
        upright: turn it as its EXIF orientation says.

    Raises:
        SceneError: not an image, half of one, or one of floating-point numbers beyond 1.
    """
    with _opened(path, upright) as image:
        if image.mode == "F":
            image = _from_floats(path, image)
        elif _is_deep(image):
            image = _from_16_bits(image)
        return np.asarray(image.convert("RGBA" if has_alpha(image) else "RGB"))


def decode_mask(path: Path, width: int, height: int, upright: bool) -> np.ndarray:
    """[height, width, 1] uint8: how much of each pixel counts, 255 all of it.

    The file may have another size of the same shape. Labels (above 0: counts) are read as well as brightness,
    and what is transparent does not count.

    Raises:
        SceneError: not an image, or of another shape than the photo.
    """
    with _opened(path, upright) as image:
        mask = _counting(path, image)
    if abs(mask.shape[1] * height - mask.shape[0] * width) > 0.02 * mask.shape[1] * height + 2 * width:
        raise SceneError(
            f"{path}: the mask is {mask.shape[1]}x{mask.shape[0]}, its photo {width}x{height}; "
            "make masks from the photos as they are."
        )
    if mask.shape[0] >= height and mask.shape[1] >= width:
        return resampled(mask[..., None], width, height)
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[rows[:, None], columns, None]


def composited(
    pixels: np.ndarray, background: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Put pixels over the background: [H, W, 3] uint8 or float32 in 0..255, and alpha [H, W, 1] or None."""
    if pixels.shape[2] == 3:
        return pixels, None
    alpha = np.ascontiguousarray(pixels[..., 3:])
    opacity = alpha.astype(np.float32) / OPAQUE
    behind = np.array(background, np.float32) * OPAQUE
    return pixels[..., :3] * opacity + behind * (1 - opacity), alpha


def developed(pixels: np.ndarray, face: Face, width: int, height: int) -> np.ndarray:
    """[height, width, C] uint8: the face's view of a photo [H, W, C] of values 0 to 255."""
    if face.where is not None:
        from gaussians.scene.kernels import remap_bilinear

        if face.label:
            pixels = _all_round(pixels)
        straight = np.empty((face.height, face.width, pixels.shape[2]), np.float32)
        remap_bilinear(pixels, face.where, straight)
        pixels = straight
    return resampled(pixels, width, height)


def resampled(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """[height, width, C] uint8: each pixel the mean over its area of [H, W, C]; not larger than that."""
    if pixels.dtype == np.uint8 and pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    from gaussians.scene.kernels import resample_area

    out = np.empty((height, width, pixels.shape[2]), np.uint8)
    resample_area(np.ascontiguousarray(pixels), out)
    return out


def _all_round(panorama: np.ndarray) -> np.ndarray:
    """[H + 2, W + 2, C] a panorama with what lies beyond its borders: the other end, and over the poles."""
    half = panorama.shape[1] // 2
    over, under = np.roll(panorama[:1], half, axis=1), np.roll(panorama[-1:], half, axis=1)
    tall = np.concatenate([over, panorama, under])
    return np.concatenate([tall[:, -1:], tall, tall[:, :1]], axis=1)


def _opened(path: Path, upright: bool) -> Image.Image:
    """The image with its pixels read; the file is closed."""
    try:
        with Image.open(path) as image:
            orientation = orientation_of(image)
            image.load()
            if not isinstance(image, TiffImagePlugin.TiffImageFile):
                return ImageOps.exif_transpose(image) if upright else image.copy()
            # Pillow has turned it upright already.
            back = None if upright else _STORED_AGAIN.get(orientation)
            return image.copy() if back is None else image.transpose(back)
    except BROKEN_IMAGE as error:
        raise broken_image(path, error) from error


def _is_deep(image: Image.Image) -> bool:
    """Whether its grey has more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _from_16_bits(image: Image.Image) -> Image.Image:
    # Pillow clips 16-bit grey to 8 bits where it should scale.
    return _grey(np.asarray(image, np.float64) / 257.0)


def _from_floats(path: Path, image: Image.Image) -> Image.Image:
    """8-bit grey of floats in [0, 1]. Raises SceneError for others: nothing says what is white."""
    grey = np.asarray(image, np.float64)
    if not grey.max() <= 1:  # NaN too
        raise SceneError(
            f"{path}: floating-point numbers of up to {grey.max():g}, where a photo has 0 to 1; save it with "
            "8 bits a channel."
        )
    return _grey(grey * OPAQUE)


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values + 0.5, 0, OPAQUE).astype(np.uint8))


def _counting(path: Path, image: Image.Image) -> np.ndarray:
    """[H, W] uint8: how much of each pixel of a mask's image counts. Raises SceneError."""
    if image.mode == "F":
        return np.asarray(_from_floats(path, image))
    palette = _palette_of_labels(image)
    if palette is not None:
        mask = palette[np.asarray(image)].max(axis=-1)  # black is no label, wherever in the palette it is
        is_labels = True
    else:
        mask = np.asarray(image if _is_deep(image) else image.convert("L"))
        is_labels = path.suffix.lower() not in _LOSSY and mask.max() <= _MOST_LABELS
    if is_labels:
        mask = np.where(mask > 0, np.uint8(OPAQUE), np.uint8(0))
    elif mask.max() > OPAQUE:
        mask = np.asarray(_from_16_bits(image))
    if has_alpha(image) and not _is_deep(image):
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        mask = np.rint(mask * (alpha / OPAQUE))
    return mask.astype(np.uint8)


def _palette_of_labels(image: Image.Image) -> np.ndarray | None:
    """[256, 3] uint8: the palette of an image that shows colours of it; None: of any other.

    Greys alone are a grey image, stored with few of them.
    """
    if image.mode != "P":
        return None
    palette = np.zeros((OPAQUE + 1, 3), np.uint8)
    stored = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
    palette[: len(stored)] = stored
    shown = palette[[index for index, count in enumerate(image.histogram()) if count]]
    return palette if (shown != shown[:, :1]).any() else None
