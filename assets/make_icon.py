"""python -m assets.make_icon: the program's icon, a drop distilled from Gaussians, into assets/icon.png."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np

from gaussians.storage import write_with

SIZE = 256
_GROUND = np.array([0.075, 0.105, 0.13])
_PALETTE = np.array(
    [[0.10, 0.42, 0.45], [0.16, 0.58, 0.56], [0.93, 0.68, 0.22], [0.90, 0.42, 0.28], [0.95, 0.86, 0.68]]
)


def main() -> None:
    """Draw the icon and write it as RGBA PNG."""
    picture = icon()
    write_with(
        Path(__file__).resolve().parent / "icon.png",
        lambda partial: iio.imwrite(partial, picture, optimize=True),
    )


def icon() -> np.ndarray:
    """[SIZE, SIZE, 4] uint8: splats that fall as mist from above and gather into a drop, on a dark tile."""
    rng = np.random.default_rng(5)
    axis = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = np.meshgrid(axis, axis)
    colour = _GROUND * (1.25 - 0.3 * y[..., None])
    for _ in range(9000):
        px, py = rng.uniform(-1, 1, 2)
        inside = _drop(np.array(px), np.array(py))
        mist = rng.random() < 0.006 and -0.8 < py < 0.1 and abs(px) < 0.75
        if inside < 0.012 and not mist:
            continue
        size = rng.uniform(0.03, 0.075) if inside > 0.012 else rng.uniform(0.012, 0.03)
        size = min(size, 0.011 + 0.3 * abs(float(inside)))
        stretch, turn = rng.uniform(1.0, 2.2), rng.uniform(0, np.pi)
        u = (x - px) * np.cos(turn) + (y - py) * np.sin(turn)
        v = (y - py) * np.cos(turn) - (x - px) * np.sin(turn)
        alpha = 0.85 * np.exp(-0.5 * ((u / (size * stretch)) ** 2 + (v / size) ** 2))[..., None]
        blend = np.clip((py + 0.75) / 1.6 + rng.normal(0, 0.16), 0, 1) * (len(_PALETTE) - 2)
        k = int(min(blend, len(_PALETTE) - 3))
        tint = _PALETTE[k] + (blend - k) * (_PALETTE[k + 1] - _PALETTE[k])
        light = 1.0 + 0.35 * max(0.0, 1 - np.hypot(px + 0.2, py - 0.12) / 0.35)
        colour = colour * (1 - alpha) + alpha * np.minimum(tint * light, 1.0)
    glint = np.exp(-0.5 * (((x + 0.19) / 0.05) ** 2 + ((y - 0.16) / 0.11) ** 2))[..., None]
    colour = colour + (1 - colour) * 0.8 * glint
    corner = np.maximum(np.abs(x), np.abs(y))
    rounded = np.hypot(np.maximum(np.abs(x) - 0.66, 0), np.maximum(np.abs(y) - 0.66, 0))
    cover = np.clip((0.34 - rounded) * SIZE / 2, 0, 1) * (corner <= 1)
    return (np.concatenate([colour, cover[..., None]], axis=2).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _drop(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed depth inside a drop with its point up (y runs down): a circle below, a cone above."""
    circle = 0.5 - np.hypot(x, y - 0.27)
    height = np.clip((y + 0.84) / 0.96, 0.0, 1.0)
    cone = 0.482 * height**1.7 - np.abs(x)
    return np.maximum(circle, np.where(y < 0.12, cone, -1.0))


if __name__ == "__main__":
    main()
