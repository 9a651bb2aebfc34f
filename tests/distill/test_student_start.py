"""Which teacher the student is pruned from."""

import pytest
import torch
from torch import Tensor

from gaussians.distill.optimisations import student_optimisation
from gaussians.distill.pipeline import student_start
from gaussians.distill.recipe_check import check_recipe
from gaussians.distill.variant_changes import having
from gaussians.errors import RecipeError
from tests.session import tiny

SCENE = tiny.scene()
SMALLEST = having(student__start="smallest", student__budget="12%")(tiny.recipe())


class GreyLabels:
    """The same label everywhere."""

    def image(self, view: int) -> Tensor:
        camera = SCENE.train[view].camera
        return torch.full((camera.height, camera.width, 3), 128, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("counts", "start"),
    [
        ({"vanilla": 1000, "perturbed": 150, "dropout": 150}, "perturbed"),
        ({"vanilla": 1000, "perturbed": 200, "dropout": 150}, "dropout"),
        ({"vanilla": 1000, "perturbed": 120, "dropout": 119}, "perturbed"),
        ({"vanilla": 1000, "perturbed": 110, "dropout": 119}, "vanilla"),
        ({"vanilla": 1000, "perturbed": 990, "dropout": 760}, "vanilla"),
        ({"mine": 1000, "pruned": 300}, "pruned"),
        ({"mine": 1000}, "mine"),
    ],
)
def test_it_is_the_smallest_compact_one_that_fills_the_budget(counts: dict[str, int], start: str):
    assert student_start(SMALLEST, counts) == start
    assert student_start(having(student__start="vanilla")(SMALLEST), counts) == next(iter(counts))


def test_the_student_starts_as_that_teacher_and_ends_at_the_share_of_vanilla():
    teachers = {"vanilla": tiny.true_gaussians(100), "perturbed": tiny.true_gaussians(40)}
    made = student_optimisation(SCENE, SMALLEST, teachers, GreyLabels(), torch.device("cpu"))
    assert torch.equal(made.live.means, teachers["perturbed"].means)
    assert [stats.count for stats in made.steps()][-1] == 12


def test_a_start_that_is_none_is_refused():
    with pytest.raises(RecipeError, match=r'student\.start = "largest": must be one of vanilla, smallest'):
        check_recipe(having(student__start="largest")(SMALLEST))
