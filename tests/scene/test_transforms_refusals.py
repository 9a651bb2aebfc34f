"""Files that are no transforms, and frames that are no views: refused in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaussians.errors import SceneError
from gaussians.scene import load_scene
from tests.scene.disk import write_transforms
from tests.scene.frames import frame


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{ not json", r"not valid JSON \(line 1"),
        ("", "not valid JSON"),
        ("[1, 2]", 'holds no "frames"'),
        ('{"frames": []}', 'holds no "frames"'),
        ('{"frames": [{}]}', 'frame 0 has no "file_path"'),
        (b"\xff\xfe\x00\x01", "not JSON but some binary file"),
        ("[" * 200_000, "nested too deeply, or a number too long"),
        ('{"w": ' + "1" * 5000 + "}", "nested too deeply, or a number too long"),
    ],
)
def test_files_that_are_no_transforms(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "transforms.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SceneError, match=rf"transforms\.json: .*{message}") as caught:
        load_scene(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shared", "keys", "message"),
    [
        ({}, {}, r"transforms\.json: frame 0\.png: no intrinsics; add fl_x"),
        ({"fl_x": "wide"}, {}, "fl_x is 'wide', not a number"),
        ({"fl_x": -5.0}, {}, "impossible intrinsics"),
        ({"camera_angle_x": 1.0}, {"transform_matrix": [[1, 2], [3]]}, '"transform_matrix" is not 4x4'),
        ({"camera_angle_x": 1.0}, {"transform_matrix": None}, '"transform_matrix" is not 4x4'),
        ({"camera_angle_x": 1.0, "camera_model": "LIGHTFIELD"}, {}, "camera_model 'LIGHTFIELD' is not known"),
        ({"camera_angle_x": 1.0}, {"file_path": "gone.png"}, r"1 of its 2 images are missing .*gone\.png"),
        ({"camera_angle_x": 1.0}, {"file_path": "1.png"}, r"a photo has two cameras \(1\.png\)"),
        ({"camera_angle_x": 1.0}, {"file_path": "1.PNG"}, r"cameras \(1\.PNG and 1\.png, which are one file"),
        (
            {"camera_angle_x": 1.0},
            {"file_path": "sub/../1.png"},
            r"cameras \(1\.png and sub/\.\./1\.png, which",
        ),
        ({"camera_angle_x": 1.0}, {"mask_path": "gone.png"}, r"its mask .*gone\.png is missing"),
        ({"camera_angle_x": 1.0, "w": np.inf}, {}, "w is inf, not a number"),
        ({"camera_angle_x": 1.0, "w": 10**400}, {}, "w is 10*, not a number"),
        ({"camera_angle_x": 1.0}, {"transform_matrix": [[10**400] * 4] * 4}, '"transform_matrix" is not 4x4'),
    ],
)
def test_bad_frames(tmp_path: Path, shared: dict[str, Any], keys: dict[str, Any], message: str) -> None:
    (tmp_path / "sub").mkdir()
    frames = [{**frame(tmp_path, "0.png", 0), **keys}, frame(tmp_path, "1.png", 1)]
    write_transforms(tmp_path, frames, **shared)
    with pytest.raises(SceneError, match=message) as caught:
        load_scene(tmp_path)
    assert "\n" not in str(caught.value)
