"""What `distill` says of a budget in the end."""

from typing import Any

import pytest

from gaussians.cli.budget_notes import budget_notes
from gaussians.distill.presets import recipe
from gaussians.distill.recipe_json import to_json
from gaussians.distill.variant_changes import having

FAST = having(student__budget="12%", teachers__optimise__densify__cap=150_000)(recipe("fast"))


def report(
    vanilla: dict[str, Any] | None = None, student: dict[str, Any] | None = None, asked: Any = FAST
) -> dict[str, Any]:
    models = {
        "vanilla": {"gaussians": 149_000, "psnr": 21.74, "ssim": 0.7057, "seconds": 9.5, **(vanilla or {})},
        "student": {"gaussians": 17_900, "psnr": 21.48, "ssim": 0.6518, "seconds": 9.5, **(student or {})},
    }
    return {"models": models, "recipe": to_json(asked), "totals": {}, "scene": {"path": "/scenes/house"}}


def test_a_student_that_lacks_detail_is_told_with_what_to_do():
    (note,) = budget_notes(report())
    assert note == (
        "the student lacks 0.26 dB and 0.054 of SSIM that the vanilla teacher has: give it a larger --budget,"
        " or let --within 0.2dB find the smallest that is good enough; vanilla stopped growing at"
        " teachers.optimise.densify.cap = 150,000"
    )


@pytest.mark.parametrize(
    "vanilla", [{"gaussians": 120_000}, {"gaussians": 400_000}, {"seconds": 0.0}],
    ids=["below its cap", "grown by others", "given"],
)  # fmt: skip
def test_the_cap_is_named_where_it_was_reached(vanilla: dict[str, Any]):
    (note,) = budget_notes(report(vanilla))
    assert "stopped growing" not in note
    assert note.startswith("the student lacks 0.26 dB and 0.054 of SSIM")


def test_what_alone_is_lacking_is_told_alone():
    (note,) = budget_notes(report(student={"psnr": 21.7}))
    assert note.startswith("the student lacks 0.054 of SSIM that")
    (note,) = budget_notes(report(student={"ssim": 0.7056}))
    assert note.startswith("the student lacks 0.26 dB that")


@pytest.mark.parametrize(
    "student",
    [
        {"psnr": 21.65, "ssim": 0.7010},
        {"psnr": 22.5, "ssim": 0.7100},
        {"gaussians": 149_000},
        {"psnr": None, "ssim": None},
    ],
    ids=["hardly worse", "better", "as large", "not measured"],
)
def test_others_are_not_talked_about(student: dict[str, Any]):
    assert budget_notes(report(student=student)) == []


@pytest.mark.parametrize("file", ["house.ply", "house.compressed.ply", "HOUSE.SPLAT"])
def test_a_splat_is_not_held_against_its_own_renders(file: str):
    alone = report({"psnr": 58.93, "ssim": 0.9996}) | {"scene": {"path": f"/splats/{file}"}}
    assert budget_notes(alone) == []


def test_a_budget_with_room_for_more_than_vanilla_is_told():
    asked = having(student__budget="200000")(FAST)
    (note,) = budget_notes(report(student={"gaussians": 149_000}, asked=asked))
    wanted = "budget 200000 has room for more than the vanilla teacher's 149,000 Gaussians"
    assert note == f"{wanted}, which were the limit then"
