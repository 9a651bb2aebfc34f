from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.scene import Scene, SceneOptions, View, load_scene
from gaussians.train.initial import gaussians_from_points
from gaussians.train.optimisation import Optimisation
from gaussians.train.photos import Photos
from gaussians.train.recipe import Densify, Optimise
from tests.session import tiny
from tests.train.synthetic import ring_cameras


def views(count: int) -> list[View]:
    rng = np.random.default_rng(0)
    cameras = ring_cameras(count, size=16)
    return [
        View(f"{index}", camera, rng.integers(0, 256, (16, 16, 3), np.uint8), mask=rng.random((16, 16)) > 0.5)
        for index, camera in enumerate(cameras)
    ]


@pytest.mark.filterwarnings("error")
def test_on_the_cpu_photos_are_not_copied() -> None:
    made = views(2)
    for view in made:
        view.image.flags.writeable = False  # as Pillow and a map have it
    photos = Photos(made, "cpu")
    assert len(photos) == 2
    for index, view in enumerate(made):
        mask = photos.mask(index)
        assert mask is not None
        assert view.mask is not None
        assert np.shares_memory(photos.image(index).numpy(), view.image)
        assert np.shares_memory(mask.numpy(), view.mask)
        assert photos.alpha(index) is None
        assert photos.image(index).dtype == torch.uint8
        assert mask.dtype == torch.bool


def test_another_device_keeps_as_many_as_there_is_room_for() -> None:
    made = views(3)
    photos = Photos(made, "meta", room=2 * made[0].image.nbytes)
    first = [photos.image(index) for index in range(3)]
    assert all(image.device.type == "meta" for image in first)
    assert [photos.image(index) is image for index, image in enumerate(first)] == [True, True, False]


def test_training_gives_the_same_numbers_from_a_file(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "scene")

    def trained(scene: Scene) -> dict[str, torch.Tensor]:
        recipe = Optimise(steps=40, sh_degree=1, random_background=True, densify=Densify(start=10, every=10))
        optimisation = Optimisation(
            gaussians_from_points(scene.points, recipe, extent=scene.extent),
            scene.train,
            recipe,
            extent=scene.extent,
            background=scene.background,
            seed=3,
            stream="vanilla",
        )
        list(optimisation.steps())
        return optimisation.state_dict()

    whole = trained(load_scene(folder))
    bounded = trained(load_scene(folder, SceneOptions(photo_memory_mb=0)))
    assert whole.keys() == bounded.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, bounded[name]), name
