"""results.md: an ablation as tables for people, over all scenes and scene by scene."""

from collections.abc import Sequence

from gaussians.distill.variants import BASE, PHOTOS_ONLY, variant
from gaussians.session.ablation_directory import AblationPlan
from gaussians.session.ablation_rows import Row
from gaussians.session.ablation_statistics import VANILLA, Figure, Summary, summaries

NONE = "–"
_HEADS = (
    "model",
    "budget",
    "Gaussians",
    "MB",
    "PSNR",
    "SSIM",
    "FLIP",
    "to vanilla",
    "to photos-only",
    "to base",
)
_HEADS += ("PSNR to choose by", "seconds", "runs")


def markdown(rows: Sequence[Row], plan: AblationPlan) -> str:
    """The whole file.

    Args:
        rows: of what is finished.
        plan: what was to be trained.
    """
    recipe, last = plan.recipe, plan.recipe.seed + plan.seeds - 1
    seeds = f"seed {recipe.seed}" if plan.seeds == 1 else f"seeds {recipe.seed} to {last}"
    lines = [
        f"# Ablation of the recipe {recipe.name}",
        "",
        f"{', '.join(plan.scenes)}; {seeds}; teachers of {recipe.teachers.optimise.steps} steps, students of "
        f"{recipe.student.optimise.steps}; resolution {plan.options.resolution or 'as it is'}; "
        f"{plan.device}.",
        "",
        "Held-out views, in two halves: PSNR (dB), SSIM, FLIP and differences (dB of PSNR, paired by scene "
        "and seed) are of the views for reporting, the last PSNR of those to choose by. ± is the standard "
        "deviation over seeds. A budget is a number of Gaussians: the same for all variants of a scene and "
        "seed.",
        "",
    ]
    if any(row.report is None for row in rows):
        lines += ["Scenes with a single held-out view are reported on that one.", ""]
    if len(plan.scenes) > 1:
        lines += _section("All scenes, each counting the same", rows)
    for scene in plan.scenes:
        lines += _section(scene, [row for row in rows if row.scene == scene])
    lines += ["## Variants", ""]
    names = dict.fromkeys((PHOTOS_ONLY, *plan.variants))
    lines += [f"- `{each.name}` ({each.group}): {each.description}." for each in map(variant, names)]
    return "\n".join(lines) + "\n"


def _section(title: str, rows: Sequence[Row]) -> list[str]:
    found = summaries(rows)
    if not found:
        return [f"## {title}", "", "Nothing is finished yet.", ""]
    lines = [f"## {title}", "", _line(_HEADS), _line(["---", "---", *["---:"] * (len(_HEADS) - 2)])]
    lines += [_line(_cells(summary)) for summary in found]
    return [*lines, "", *_best(found)]


def _best(found: Sequence[Summary]) -> list[str]:
    """Which student the views to choose by would have us choose, at each budget."""
    lines = []
    for budget in dict.fromkeys(summary.budget for summary in found if summary.budget is not None):
        rivals = [each for each in found if each.budget == budget]
        # A student that lacks runs is not compared: its scenes may be the easier ones.
        most = max(each.runs for each in rivals)
        scores = {
            each.model: each.psnr_choose.mean for each in rivals if each.psnr_choose and each.runs == most
        }
        if len(scores) > 1:
            best = max(scores, key=lambda name: scores[name])
            lines.append(f"Best at {budget} by the views to choose by: `{best}`.")
    return [*lines, ""] if lines else []


def _cells(summary: Summary) -> list[str]:
    differences = [summary.differences.get(name) for name in (VANILLA, PHOTOS_ONLY, BASE)]
    return [
        summary.model,
        summary.budget or NONE,
        f"{summary.gaussians.mean:,.0f}",
        f"{summary.bytes.mean / 1e6:.2f}",
        _figure(summary.psnr, ".2f"),
        _figure(summary.ssim, ".4f"),
        _figure(summary.flip, ".4f"),
        *(_figure(difference, "+.2f") for difference in differences),
        _figure(summary.psnr_choose, ".2f"),
        f"{summary.seconds.mean:.0f}",
        str(summary.runs),
    ]


def _figure(value: Figure | None, form: str) -> str:
    if value is None:
        return NONE
    text = format(value.mean, form).replace("-", "−")
    return text if value.spread is None else f"{text} ± {format(value.spread, form.lstrip('+'))}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
