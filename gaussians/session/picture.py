"""report.png: photo, teachers, student and the student's error, for a few held-out views."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from gaussians.distill.importance import spread_views
from gaussians.distill.pipeline import ENSEMBLE
from gaussians.scene import Scene, View
from gaussians.session.directory import RunDirectory
from gaussians.session.heat import heat_colors
from gaussians.storage import replacing
from gaussians.train.evaluate import render_view
from gaussians.train.metrics import flip_map

PHOTO = "photo"
VIEWS = 4
CELL_HEIGHT = 270  # px at most
MARGIN, CAPTION, HEADER = 6, 18, 30
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
INK, FAINT, PAPER = (24, 24, 27), (113, 113, 122), (255, 255, 255)


def write_picture(
    directory: RunDirectory,
    scene: Scene,
    report: dict[str, Any],
    device: torch.device,
    on_view: Callable[[], None] | None = None,
) -> None:
    """Render and write report.png. Without held-out views, training views serve.

    `on_view` is called after each view. Raises StorageError.
    """
    views = scene.test or scene.train
    chosen = [views[index] for index in spread_views(len(views), VIEWS)]
    models = {
        name: directory.finished_splat(name).to(device) for name in report["models"] if name != ENSEMBLE
    }
    rows = []
    for view in chosen:
        cells = [(PHOTO, view.image)]
        for name, gaussians in models.items():
            image = render_view(gaussians, view.camera, scene.background, device).cpu().numpy()
            cells.append((name, (image * 255).round().astype(np.uint8)))
        cells.append(("error (FLIP)", _error(cells[-1][1], view)))
        rows.append((view, cells))
        if on_view is not None:
            on_view()
    sheet = _sheet(rows, report)
    with replacing(directory.picture) as temporary:
        sheet.save(temporary)


def _error(image: np.ndarray, view: View) -> np.ndarray:
    """[H, W, 3] uint8: the FLIP error map in colour; pixels that the mask leaves out have no error."""
    return heat_colors(flip_map(image, view.image, view.mask))


def _sheet(rows: list[tuple[View, list[tuple[str, np.ndarray]]]], report: dict[str, Any]) -> Image.Image:
    font, bold = ImageFont.load_default(13), ImageFont.load_default(16)
    table = [[_cell(view, name, image, report) for name, image in cells] for view, cells in rows]
    widths = [_width(column, font) for column in zip(*table, strict=True)]
    heights = [max(cell.picture.height for cell in row) + 2 * CAPTION for row in table]
    share = report["totals"]["student_share"]
    title = f"{report['scene']['name']}: student with {100 * share:.1f} % of the vanilla teacher's Gaussians"
    width = max(sum(widths) + MARGIN * (len(widths) + 1), math.ceil(bold.getlength(title)) + 2 * MARGIN)
    sheet = Image.new("RGB", (width, HEADER + sum(heights) + MARGIN * (len(heights) + 1)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), title, INK, font=bold)
    y = HEADER
    for row, height in zip(table, heights, strict=True):
        x = MARGIN
        for cell, column_width in zip(row, widths, strict=True):
            sheet.paste(cell.picture, (x, y + 2 * CAPTION))
            draw.text((x, y), cell.title, INK, font=font)
            draw.text((x, y + CAPTION - 2), cell.caption, FAINT, font=font)
            x += column_width + MARGIN
        y += height + MARGIN
    return sheet


class _Cell(NamedTuple):
    """A picture and the two lines over it."""

    title: str
    caption: str
    picture: Image.Image


def _cell(view: View, name: str, image: np.ndarray, report: dict[str, Any]) -> _Cell:
    title = _short(view.name) if name == PHOTO else name
    return _Cell(title, _caption(report, name, view.name), _fit(image))


def _width(column: Sequence[_Cell], font: Font) -> int:
    """Of a column, in px: small photos are narrower than what is written over them."""
    texts = (font.getlength(text) for cell in column for text in (cell.title, cell.caption))
    return max(math.ceil(max(texts)), *(cell.picture.width for cell in column))


def _caption(report: dict[str, Any], model: str, view: str) -> str:
    facts = report["models"].get(model)
    if facts is None:
        return {PHOTO: "ground truth"}.get(model, "of the student")
    psnr = facts["per_view"].get(view, {}).get("psnr")
    count = f"{facts['gaussians'] / 1000:.1f} k"
    return count if psnr is None else f"{psnr:.2f} dB, {count}"


def _fit(image: np.ndarray) -> Image.Image:
    picture = Image.fromarray(image)
    scale = min(1.0, CELL_HEIGHT / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture if scale == 1 else picture.resize(size, Image.Resampling.BOX)


def _short(name: str, most: int = 28) -> str:
    """The name's end, where it is too long: that is where image names differ."""
    return name if len(name) <= most else "…" + name[1 - most :]
