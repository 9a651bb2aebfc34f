"""python -m assets.make_demo: render the demo scene into assets/demo/."""

import argparse
import time
from pathlib import Path

from .bvh import build
from .cameras import FOCAL, HEIGHT, WIDTH, orbit
from .develop import develop
from .export import write_image, write_points, write_transforms
from .points import sparse_points
from .still_life import compose
from .tracer import render

SAMPLES = 48
"""Paths per pixel of the shipped pictures."""


def main() -> None:
    """Render every view, then write cameras and points."""
    parser = argparse.ArgumentParser(prog="python -m assets.make_demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "demo")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="paths per pixel")
    arguments = parser.parse_args()
    start = time.perf_counter()
    tree = build(compose())
    cameras = orbit()
    images = []
    for index, camera in enumerate(cameras):
        image = develop(render(tree, camera, FOCAL, (WIDTH, HEIGHT), arguments.samples, seed=index))
        write_image(arguments.out / "images" / f"{index:03d}.jpg", image)
        images.append(image)
        print(f"view {index + 1} of {len(cameras)}, {time.perf_counter() - start:.0f} s", flush=True)
    write_transforms(arguments.out / "transforms.json", cameras)
    write_points(arguments.out / "points.ply", *sparse_points(tree, cameras, FOCAL, images))


if __name__ == "__main__":
    main()
