"""Means, spreads, pairs, halves, and the files that show them."""

import csv
import io
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from gaussians.scene import SceneOptions
from gaussians.session.ablation_chart import quality_chart
from gaussians.session.ablation_directory import AblationPlan
from gaussians.session.ablation_rows import Row, csv_text
from gaussians.session.ablation_statistics import figure, summaries
from gaussians.session.ablation_table import markdown
from gaussians.session.chart_labels import apart, ticks
from gaussians.session.halves import CHOOSE, REPORT, Quality, half
from tests.session import tiny


def row(scene: str, seed: int, model: str, psnr: float, budget: str | None = "12%", count: int = 100) -> Row:
    quality = Quality(psnr, 0.9, 0.1)
    return Row(
        scene=scene,
        seed=seed,
        model=model,
        budget=budget,
        gaussians=count,
        bytes=248 * count,
        all=quality,
        choose=Quality(psnr + 1, 0.9, 0.1),
        report=quality,
        seconds=2,
        teacher_seconds=None if budget is None else 7,
        peak_memory=5,
    )


ROWS = [
    row("fox", 0, "vanilla", 30, None, 1000),
    row("fox", 1, "vanilla", 32, None, 1000),
    row("lego", 0, "vanilla", 20, None, 1000),
    row("lego", 1, "vanilla", 22, None, 1000),
    row("fox", 0, "photos-only", 29),
    row("fox", 1, "photos-only", 31),
    row("lego", 0, "photos-only", 19),
    row("lego", 1, "photos-only", 21),
    row("fox", 0, "base", 29.5),
    row("fox", 1, "base", 32.5),
    row("lego", 0, "base", 19.5),
]


def test_halves_alternate_by_name():
    values = {"d": 4, "b": 2, "c": 3, "a": 1}
    per_view = {name: {"psnr": value, "ssim": 0.5, "flip": 0.5} for name, value in values.items()}
    choose, report, whole = half(per_view, CHOOSE), half(per_view, REPORT), half(per_view)
    assert choose is not None
    assert report is not None
    assert whole is not None
    assert (choose.psnr, report.psnr, whole.psnr) == (2, 3, 2.5)  # a and c, b and d
    assert half({"a": per_view["a"]}, REPORT) is None


def test_figure_is_over_scenes_and_its_spread_over_seeds():
    made = figure({("a", 0): 1.0, ("a", 1): 3.0, ("b", 0): 10.0, ("b", 1): 12.0})
    assert made is not None
    assert made.mean == 6.5
    assert made.spread == pytest.approx(2**0.5)  # of 5.5 and 7.5
    alone = figure({("a", 0): 1.0, ("a", 1): 3.0, ("b", 0): 10.0})
    assert alone is not None
    assert (alone.mean, alone.spread) == (6.0, None)
    assert figure({}) is None


def test_differences_are_paired_by_scene_and_seed():
    base = next(each for each in summaries(ROWS) if each.model == "base")
    assert base.runs == 3
    # fox: -0.5 and +0.5, lego: -0.5; the seed that lego lacks spreads nothing
    assert base.differences["vanilla"].mean == pytest.approx(-0.25)
    assert base.differences["photos-only"].mean == pytest.approx((1.0 + 0.5) / 2)
    assert "base" not in base.differences


def test_budgets_are_compared_with_their_own_kind():
    rows = [*ROWS, row("fox", 0, "photos-only", 25, "6%", 50), row("fox", 0, "base", 25.2, "6%", 50)]
    small = next(each for each in summaries(rows) if (each.model, each.budget) == ("base", "6%"))
    assert small.differences["photos-only"].mean == pytest.approx(0.2)


def test_csv_has_a_row_a_model_and_blanks_for_what_is_unknown():
    lines = list(csv.DictReader(io.StringIO(csv_text(ROWS))))
    assert len(lines) == len(ROWS)
    assert (lines[0]["budget"], lines[0]["teacher_seconds"], lines[4]["teacher_seconds"]) == ("", "", "7.0")
    assert (float(lines[4]["psnr_choose"]), float(lines[4]["psnr_report"])) == (30, 29)


def test_markdown_tells_of_all_and_of_each_scene():
    scenes = {"fox": Path("fox"), "lego": Path("lego"), "demo": Path("demo")}
    plan = AblationPlan(scenes, SceneOptions(), tiny.recipe(), "cpu", 2, ("base",), ("12%",))
    text = markdown(ROWS, plan)
    assert "| vanilla | – | 1,000 | 0.25 | 26.00 ± 1.41 |" in text
    assert "−0.25" in text
    # base lacks a run, so it isn't in the running
    assert "## demo\n\nNothing is finished yet." in text
    assert "Best at 12%" not in text.split("## fox")[0]
    assert "Best at 12% by the views to choose by: `base`." in text.split("## fox")[1].split("## lego")[0]
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_chart_is_xml_with_a_panel_a_scene_and_every_name():
    rows = [*ROWS, row("fox", 0, "a<b & c", 28)]
    root = ET.fromstring(quality_chart(rows))
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in ("Mean over scenes", "fox", "lego")] == [
        "Mean over scenes",
        "fox",
        "lego",
    ]
    assert sum(text.startswith("base") for text in texts) == 3
    assert sum(text.startswith("vanilla") for text in texts) == 3
    assert any(text.startswith("a<b & c") for text in texts)
    ET.fromstring(quality_chart([]))
    ET.fromstring(quality_chart(ROWS[:1]))  # no student yet


def test_labels_keep_their_distance_and_their_order():
    places = [10.0, 11.0, 11.0, 50.0, 90.0, 91.0]
    moved = apart(places, 14, 0, 100)
    gaps = [after - before for before, after in pairwise(moved)]
    assert min(gaps) >= 14 - 1e-9
    assert moved[0] >= 0
    assert moved[-1] <= 100 + 1e-9
    assert apart([5.0, 40.0], 14, 0, 100) == [5.0, 40.0]


@pytest.mark.parametrize(("low", "high"), [(23.1, 32.7), (31.98, 32.11), (0, 1), (-3.2, 250)])
def test_ticks_are_round_few_and_inside(low: float, high: float):
    made = ticks(low, high, 6)
    assert 2 <= len(made) <= 6
    assert low <= made[0] < made[-1] <= high
