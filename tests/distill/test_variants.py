"""Variants: each fits every preset, changes what it says, and stays fair."""

import dataclasses

import pytest

from gaussians.distill.presets import recipe, recipe_names
from gaussians.distill.variant_changes import forks, having, independent
from gaussians.distill.variants import (
    BASE,
    OWN,
    PHOTOS_ONLY,
    TEACHER_SETS,
    VARIANTS,
    student_recipe,
    teacher_recipe,
    teacher_set,
    variant,
)
from gaussians.errors import RecipeError
from tests.session import tiny

FAST = recipe("fast")


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("factor", [1.0, 0.1])
def test_every_variant_fits_every_preset_at_equal_steps(name: str, factor: float):
    base = recipe(name).scaled(factor)
    for each in VARIANTS:
        made = student_recipe(base, each, "1000")
        assert made.student.optimise.steps == base.student.optimise.steps, each.name
        assert made.teachers.optimise.steps == base.teachers.optimise.steps, each.name
        assert (made.student.budget, made.seed, made.name) == ("1000", base.seed, base.name)


def test_variants_differ_from_base_and_from_each_other():
    made = {student_recipe(FAST, each, "9") for each in VARIANTS}
    # no-structure and by-effect are what the preset has already, and no-labels is then photos-only.
    assert len(made) == len(VARIANTS) - 3
    assert student_recipe(FAST, variant(BASE), "12%") == FAST


def test_a_student_run_says_which_teachers_it_had():
    made = student_recipe(FAST, variant("absgrad"), "9")
    assert made.teachers == teacher_recipe(FAST, teacher_set("absgrad")).teachers
    assert made.teachers.optimise.densify.absgrad
    assert made.teachers.optimise.densify.grad_threshold == pytest.approx(
        4 * FAST.teachers.optimise.densify.grad_threshold
    )


def test_every_teacher_set_is_used_and_every_used_one_is_there():
    assert {each.teachers for each in VARIANTS} == {each.name for each in TEACHER_SETS}


def test_photos_only_learns_from_nothing_else_and_keeps_the_route():
    made = student_recipe(FAST, variant(PHOTOS_ONLY), "9").student
    assert (made.label_weight, made.structure.weight) == (0, 0)
    assert (made.route, made.simplify, made.optimise) == (
        FAST.student.route,
        FAST.student.simplify,
        FAST.student.optimise,
    )


def test_agreement_has_labels_at_training_views_to_weigh():
    made = student_recipe(FAST, variant("agreement"), "9")
    assert made.labels.agreement > 0  # which acts where there is a photo
    assert made.student.label_weight > 0


def test_the_papers_schedules_keep_their_proportions():
    made = student_recipe(FAST, variant("paper"), "9").student
    steps = FAST.student.optimise.steps
    assert (made.simplify.start, made.simplify.mass_step) == (steps // 2, round(steps * 2 / 3))
    assert (made.photo_weight, made.label_weight, made.route) == (0.6, 0.4, "points")


def test_one_shot_leaves_the_student_all_its_steps():
    simplify = student_recipe(FAST, variant("one-shot"), "9").student.simplify
    assert (simplify.stages, simplify.stop) == (1, FAST.student.simplify.start)


def test_joined_variants_change_both_and_keep_the_teachers():
    made = variant("twins+sh-1+no-structure")
    student = student_recipe(FAST, made, "9").student
    assert made.teachers == "twins"
    assert (student.optimise.sh_degree, student.structure.weight) == (1, 0)
    assert variant("sh-1+labels-20").teachers == OWN


def test_unknown_and_contradicting_variants_are_refused():
    with pytest.raises(RecipeError, match=r'"best".*--variants list'):
        variant("base+best")
    with pytest.raises(RecipeError, match="twins and forks"):
        variant("twins+forks")


def test_a_variant_with_other_steps_is_unfair():
    steps = FAST.student.optimise.steps + 1000
    longer = dataclasses.replace(variant(BASE), change=having(student__optimise__steps=steps))
    with pytest.raises(RecipeError, match="unfair"):
        student_recipe(FAST, longer, "9")


def test_a_variant_that_does_not_fit_is_named():
    base = tiny.recipe()
    broken = dataclasses.replace(variant("by-area"), change=having(student__simplify__stop=10_000))
    with pytest.raises(RecipeError, match=r"variant by-area: student\.simplify\.stop"):
        student_recipe(base, broken, "9")


def test_forks_part_when_growth_ends_and_leave_other_bases_alone():
    teachers = forks(FAST).teachers
    assert (teachers.compact, teachers.fork) == (1.0, FAST.teachers.optimise.densify.stop)
    assert teachers.fork == teachers.perturb.start == teachers.dropout.start
    assert teachers.perturb.stop < teachers.dropout.stop < teachers.optimise.steps
    alone = independent(FAST).teachers
    assert alone == dataclasses.replace(teachers, fork=0)
    paper = recipe("paper")
    assert forks(paper) == paper
    assert independent(paper) == having(teachers__fork=0)(paper)
