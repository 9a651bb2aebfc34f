from pathlib import Path

import numpy as np
import pycolmap

from gaussians.scene.pairs import all_pairs, likely_pairs

GROUPS, EACH, FEATURES = 8, 5, 300


def database_of_groups(path: Path) -> tuple[str, ...]:
    """Photos of eight things, interleaved by name; photos of one thing share half of their features."""
    rng = np.random.default_rng(0)
    pools = rng.integers(0, 60, (GROUPS, FEATURES, 128))
    names = tuple(f"{index:03d}.jpg" for index in range(GROUPS * EACH))
    with pycolmap.Database.open(path) as database:
        camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", 100.0, 64, 48)
        camera_id = database.write_camera(camera)
        for index, name in enumerate(names):
            image_id = database.write_image(pycolmap.Image(name=name, camera_id=camera_id))
            # Affine keypoints: x, y, and a scale that falls with the index, shared features first.
            scales = np.linspace(9, 1, FEATURES)
            zero = np.zeros(FEATURES)
            keypoints = np.stack([zero, zero, scales, zero, zero, scales], axis=1).astype(np.float32)
            own = rng.integers(0, 60, (FEATURES, 128))
            own[: FEATURES // 2] = pools[index % GROUPS, : FEATURES // 2] + rng.integers(
                0, 4, (FEATURES // 2, 128)
            )
            database.write_keypoints(image_id, keypoints)
            database.write_descriptors(
                image_id,
                pycolmap.FeatureDescriptors(pycolmap.FeatureExtractorType.SIFT, own.astype(np.uint8)),
            )
    return names


def test_all_pairs_once() -> None:
    assert all_pairs(("a", "b", "c")) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_photos_that_share_features_are_paired_and_so_are_neighbours_by_name(tmp_path: Path) -> None:
    names = database_of_groups(tmp_path / "database.db")
    told: list[tuple[int, int]] = []
    pairs = likely_pairs(
        names, tmp_path / "database.db", lambda what, done, total: told.append((done, total))
    )
    assert len(set(pairs)) == len(pairs)
    assert all(one < other for one, other in pairs)
    chosen = {(int(one[:3]), int(other[:3])) for one, other in pairs}
    alike = {(i, j) for i in range(len(names)) for j in range(i + 1, len(names)) if (j - i) % GROUPS == 0}
    near = {(i, j) for i in range(len(names)) for j in range(i + 1, min(i + 6, len(names)))}
    assert alike <= chosen
    assert near <= chosen
    assert chosen == alike | near, "nothing else shares anything"
    assert told[-1] == (len(names), len(names))
