"""report.png: what is written over small photos is not cut off."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gaussians.io import write_splat
from gaussians.session.directory import RunDirectory
from gaussians.session.picture import MARGIN, PAPER, write_picture
from tests.session import tiny


def test_captions_wider_than_the_photos_are_whole(tmp_path: Path):
    directory = RunDirectory(tmp_path)
    write_splat(directory.splat("student"), tiny.true_gaussians())
    scene = tiny.scene()
    per_view = {view.name: {"psnr": 12.3} for view in scene.test}
    report = {
        "models": {"student": {"gaussians": 120, "per_view": per_view}},
        "totals": {"student_share": 0.12},
        "scene": {"name": "a scene whose name is longer than its small pictures are wide"},
    }
    write_picture(directory, scene, report, torch.device("cpu"))
    pixels = np.asarray(Image.open(directory.picture).convert("RGB"))
    assert pixels.shape[1] > 3 * tiny.WIDTH
    border = np.concatenate([pixels[:, :MARGIN], pixels[:, -MARGIN:]], axis=1)
    assert (border == PAPER).all()
