import json
from pathlib import Path

import pytest

from gaussians.errors import SplatError
from gaussians.scene.cameras_json import read_background, read_cameras

ENTRY = {
    "img_name": "0.png",
    "width": 160,
    "height": 120,
    "position": [0, 0, 0],
    "rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "fx": 110,
    "fy": 110,
}


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        json.dumps([ENTRY | {"width": float("inf")}]),
        json.dumps([ENTRY | {"fx": 10**400}]),
        json.dumps([ENTRY | {"position": [0, 0, float("nan")]}]),
    ],
    ids=["deep", "infinite", "huge", "nan"],
)
def test_what_is_no_camera_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cameras.json"
    file.write_text(json.dumps([ENTRY]))
    assert len(read_cameras(file)) == 1
    file.write_text(content)
    with pytest.raises(SplatError, match=r"cameras\.json: not readable as cameras") as caught:
        read_cameras(file)
    assert "\n" not in str(caught.value)
    assert read_background(file) is None
