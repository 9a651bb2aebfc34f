from collections.abc import Collection
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from gaussians.scene import pairs as module
from gaussians.scene.pairs import all_pairs, likely_pairs

GROUPS, EACH, FEATURES = 8, 5, 300


def database_of_groups(
    path: Path, groups: int = GROUPS, empty: Collection[int] = (), unsearched: Collection[int] = ()
) -> tuple[str, ...]:
    """Photos of several things, interleaved by name; photos of one thing share half of their features.

    Args:
        path: where to write it.
        groups: how many things.
        empty: indices of photos in which no feature was found.
        unsearched: indices of photos of which the database has none, not even that there are none.
    """
    rng = np.random.default_rng(0)
    pools = rng.integers(0, 60, (groups, FEATURES, 128))
    names = tuple(f"{index:03d}.jpg" for index in range(groups * EACH))
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
            own[: FEATURES // 2] = pools[index % groups, : FEATURES // 2] + rng.integers(
                0, 4, (FEATURES // 2, 128)
            )
            if index in unsearched:
                continue
            if index in empty:
                keypoints, own = keypoints[:0], own[:0]
            database.write_keypoints(image_id, keypoints)
            database.write_descriptors(
                image_id,
                pycolmap.FeatureDescriptors(pycolmap.FeatureExtractorType.SIFT, own.astype(np.uint8)),
            )
    return names


def alike(names: tuple[str, ...], groups: int = GROUPS) -> set[tuple[str, str]]:
    """Pairs of photos of one thing."""
    return {pair for pair in all_pairs(names) if (int(pair[1][:3]) - int(pair[0][:3])) % groups == 0}


def near(names: tuple[str, ...]) -> set[tuple[str, str]]:
    """Pairs of neighbours by name."""
    return {pair for pair in all_pairs(names) if int(pair[1][:3]) - int(pair[0][:3]) <= 5}


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody follows."""


@pytest.fixture
def glances(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Grows by one entry for each exact comparison of two photos."""
    made: list[tuple[int, int]] = []
    exact = module._shared

    def counted(one: np.ndarray, other: np.ndarray) -> int:
        made.append((len(one), len(other)))
        return exact(one, other)

    monkeypatch.setattr(module, "_shared", counted)
    return made


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
    assert set(pairs) == alike(names) | near(names), "nothing else shares anything"
    assert told[-1] == (len(names), len(names))


def test_few_photos_are_all_compared_once(tmp_path: Path, glances: list[tuple[int, int]]) -> None:
    names = database_of_groups(tmp_path / "database.db")
    likely_pairs(names, tmp_path / "database.db", silent)
    assert len(glances) == len(all_pairs(names))


def test_a_shortlist_as_long_as_all_the_others_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = database_of_groups(tmp_path / "database.db")
    exhaustive = likely_pairs(names, tmp_path / "database.db", silent)
    summaries = module._summaries
    made: list[int] = []
    monkeypatch.setattr(module, "_summaries", lambda *given: made.append(1) or summaries(*given))
    for length in (len(names) - 1, len(names) - 2):
        monkeypatch.setattr(module, "_SHORTLIST", length)
        assert likely_pairs(names, tmp_path / "database.db", silent) == exhaustive
    assert made == [1], "with the longer one there is nothing to choose by"


def test_true_partners_are_found_among_many_unrelated_photos_with_few_comparisons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, glances: list[tuple[int, int]]
) -> None:
    groups, shortlist = 40, 10
    monkeypatch.setattr(module, "_SHORTLIST", shortlist)
    monkeypatch.setattr(module, "_BLOCK", 64)  # the last one is not full
    names = database_of_groups(tmp_path / "database.db", groups)
    pairs = likely_pairs(names, tmp_path / "database.db", silent)
    assert set(pairs) == alike(names, groups) | near(names)
    assert len(glances) <= len(names) * shortlist < len(all_pairs(names)) / 9
    assert likely_pairs(names, tmp_path / "database.db", silent) == pairs


@pytest.mark.parametrize("shortlist", [6, 80])
def test_photos_without_features_have_their_neighbours_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shortlist: int
) -> None:
    monkeypatch.setattr(module, "_SHORTLIST", shortlist)
    names = database_of_groups(tmp_path / "database.db", empty=(3, 17), unsearched=(20,))
    bare = {names[index] for index in (3, 17, 20)}
    expected = {pair for pair in alike(names) if not bare & set(pair)} | near(names)
    assert set(likely_pairs(names, tmp_path / "database.db", silent)) == expected


def test_no_photo_with_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHORTLIST", 6)
    names = database_of_groups(tmp_path / "database.db", empty=range(GROUPS * EACH))
    assert set(likely_pairs(names, tmp_path / "database.db", silent)) == near(names)
