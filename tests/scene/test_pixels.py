from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gaussians.errors import SceneError
from gaussians.scene import pixels
from gaussians.scene.headers import read_header
from gaussians.scene.kernels import remap_bilinear


def area_mean(source: np.ndarray, width: int, height: int) -> np.ndarray:
    """Oracle: repeat each pixel until both grids fit into one, then take means of whole blocks, float64."""
    fine = np.kron(source.astype(np.float64), np.ones((height, width, 1)))
    rows, columns = source.shape[:2]
    return fine.reshape(height, rows, width, columns, -1).mean(axis=(1, 3))


@pytest.mark.parametrize(
    ("columns", "rows", "width", "height"), [(12, 8, 6, 4), (13, 11, 5, 4), (7, 9, 7, 4), (5, 5, 1, 1)]
)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resampling_is_the_exact_mean_over_each_pixels_area(
    columns: int, rows: int, width: int, height: int, channels: int, dtype: type
) -> None:
    source = np.random.default_rng(0).integers(0, 256, (rows, columns, channels)).astype(dtype)
    result = pixels.resampled(source, width, height)
    assert result.dtype == np.uint8
    # Half a level of rounding, and float32 on top. Worst seen: 0.50002.
    assert np.abs(result - area_mean(source, width, height)).max() < 0.5 + 1e-3


def test_resampling_keeps_black_and_white() -> None:
    for value in (0, 255):
        assert np.all(pixels.resampled(np.full((37, 53, 3), value, np.uint8), 19, 13) == value)


def test_the_same_size_is_the_same_image() -> None:
    source = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    assert np.array_equal(pixels.resampled(source, 7, 9), source)
    assert np.array_equal(pixels.resampled(source.astype(np.float32), 7, 9), source)


def test_transparency_is_filtered_premultiplied() -> None:
    rgba = np.random.default_rng(1).integers(0, 256, (12, 10, 4)).astype(np.uint8)
    background = (0.2, 0.5, 1.0)
    over, alpha = pixels.composited(rgba, background)
    assert alpha is not None
    opacity = rgba[..., 3:] / 255
    premultiplied = area_mean(rgba[..., :3] * opacity, 5, 4)
    expected = premultiplied + np.array(background) * 255 * (1 - area_mean(opacity, 5, 4))
    assert np.abs(pixels.resampled(over, 5, 4) - expected).max() < 0.5 + 1e-3
    assert np.abs(pixels.resampled(alpha, 5, 4) - 255 * area_mean(opacity, 5, 4)).max() < 0.5 + 1e-3


def test_the_colour_under_full_transparency_does_not_show() -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[..., 0] = 255
    rgba[:, 2:, 3] = 255
    over, _ = pixels.composited(rgba, (0, 0, 1.0))
    assert pixels.resampled(over, 2, 2).tolist() == [[[0, 0, 255], [255, 0, 0]]] * 2


def test_bilinear_positions_are_pixel_centres_at_a_half() -> None:
    source = np.array([[[10.0], [20.0]], [[30.0], [60.0]]], np.float32)
    where = np.array([[[0.5, 0.5], [1.5, 0.5], [1.0, 1.0], [0.0, 0.0], [9.0, 9.0]]], np.float32)
    out = np.empty((1, 5, 1), np.float32)
    remap_bilinear(source, where, out)
    np.testing.assert_allclose(out[0, :, 0], [10, 20, 30, 10, 60])


# What each EXIF orientation does to the corners of a 2x3 image, by the standard's own table.
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "compression"), [("png", None), ("tif", None), ("tif", "tiff_lzw")], ids=["png", "tif", "lzw"]
)
def test_exif_orientation_turns_the_photo_upright(
    tmp_path: Path, orientation: int, suffix: str, compression: str | None
) -> None:
    upright = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, compression=compression)
    assert np.array_equal(pixels.decode(path, upright=True), upright)
    assert np.array_equal(pixels.decode(path, upright=False), stored)
    assert read_header(path).orientation == orientation
    assert read_header(path).size(upright=True) == (5, 4)
    assert read_header(path).size(upright=False) == (stored.shape[1], stored.shape[0])


@pytest.mark.parametrize(
    ("mode", "stored", "shown"),
    [
        ("L", np.array([[7, 200]], np.uint8), [[[7] * 3, [200] * 3]]),
        ("I;16", np.array([[257 * 7, 65535]], np.uint16), [[[7] * 3, [255] * 3]]),
        ("LA", np.array([[[7, 0], [9, 128]]], np.uint8), [[[7, 7, 7, 0], [9, 9, 9, 128]]]),
        ("1", np.array([[False, True]]), [[[0] * 3, [255] * 3]]),
    ],
)
def test_grey_images_become_colour(tmp_path: Path, mode: str, stored: np.ndarray, shown: list) -> None:
    path = tmp_path / "photo.png"
    image = Image.fromarray(stored)
    assert image.mode == mode
    image.save(path)
    assert pixels.decode(path, upright=False).tolist() == shown
    assert read_header(path).has_alpha == (mode == "LA")


def test_floats_are_shares_of_white(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(path)
    assert pixels.decode(path, upright=False)[0, :, 0].tolist() == [0, 128, 255]
    for beyond in (1.5, np.nan):
        Image.fromarray(np.array([[0.0, beyond]], np.float32)).save(path)
        with pytest.raises(SceneError, match=r"photo\.tif: floating-point numbers of up to .* 8 bits"):
            pixels.decode(path, upright=False)


def test_a_mask_of_another_size_is_brought_to_the_photos(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 4, axis=0).repeat(4, axis=1)).save(path)
    for width, height in ((4, 2), (8, 4), (16, 8)):
        mask = pixels.decode_mask(path, width, height, upright=False)
        assert mask.shape == (height, width, 1)
        assert np.all(mask[:, : width // 2] == 0)
        assert np.all(mask[:, width // 2 :] == 255)
    with pytest.raises(SceneError, match=r"mask\.png: the mask is 8x4, its photo 4x8"):
        pixels.decode_mask(path, 4, 8, upright=False)


@pytest.mark.parametrize(
    ("stored", "counts"),
    [
        ([0, 1], [0, 255]),
        ([0, 1, 2, 20], [0, 255, 255, 255]),
        ([0, 1, 21], [0, 1, 21]),
        (np.array([0, 1, 2], np.uint16), [0, 255, 255]),
        (np.array([0, 255, 128], np.uint16), [0, 255, 128]),
        (np.array([0, 65535, 257 * 128], np.uint16), [0, 255, 128]),
    ],
)
def test_a_mask_of_labels_counts_above_zero(
    tmp_path: Path, stored: list[int] | np.ndarray, counts: list[int]
) -> None:
    path = tmp_path / "mask.png"
    row = np.array(stored, np.uint8) if isinstance(stored, list) else stored
    Image.fromarray(row[None]).save(path)
    assert pixels.decode_mask(path, len(counts), 1, upright=False).ravel().tolist() == counts


def test_noise_in_a_black_jpeg_mask_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "mask.jpg"
    Image.new("L", (8, 8), 3).save(path)
    assert pixels.decode_mask(path, 8, 8, upright=False).max() < 128


@pytest.mark.parametrize(
    ("palette", "counts"),
    [
        ([0, 0, 0, 128, 0, 0, 0, 128, 0], [0, 255, 255]),  # as segmentation programs colour their labels
        ([255, 254, 255, 0, 0, 0, 128, 0, 0], [255, 0, 255]),  # as Pillow makes one: the brightest first
        ([255, 255, 255, 0, 0, 0, 99, 99, 99], [255, 0, 99]),  # a grey image that was made small
    ],
)
def test_a_palette_mask_counts_by_label_or_by_its_greys(
    tmp_path: Path, palette: list[int], counts: list[int]
) -> None:
    path = tmp_path / "mask.png"
    image = Image.new("P", (3, 1))
    image.putdata([0, 1, 2])
    image.putpalette(palette)
    image.save(path)
    assert pixels.decode_mask(path, 3, 1, upright=False).ravel().tolist() == counts


def test_what_is_transparent_in_a_mask_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    white, black = [255] * 3, [0] * 3
    Image.fromarray(np.array([[[*white, 255], [*white, 0], [*white, 100], [*black, 255]]], np.uint8)).save(
        path
    )
    assert pixels.decode_mask(path, 4, 1, upright=False).ravel().tolist() == [255, 0, 100, 0]


def test_broken_images_are_named(tmp_path: Path) -> None:
    empty, text, cut = (tmp_path / name for name in ("empty.jpg", "text.png", "cut.png"))
    empty.touch()
    text.write_text("not an image")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(cut)
    cut.write_bytes(cut.read_bytes()[:3000])
    with pytest.raises(SceneError, match=r"empty\.jpg: .*empty \(0 bytes\)"):
        read_header(empty)
    with pytest.raises(SceneError, match=r"text\.png: .*not an image"):
        read_header(text)
    with pytest.raises(SceneError, match=r"cut\.png: cannot be read as an image"):
        pixels.decode(cut, upright=False)
