"""What it is all for, on the bundled demo at a quarter of its size: an eighth of the Gaussians, no worse."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / "assets" / "demo"


def distilled(out: Path, *arguments: str) -> dict[str, Any]:
    """The report of a run of the recipe fast."""
    line = [sys.executable, str(PROJECT / "main.py"), "distill", *arguments, "--recipe", "fast"]
    subprocess.run([*line, "--budget", "12%", "--device", "cpu", "--out", str(out)], check=True)
    return json.loads((out / "report.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("promise") / "run"
    distilled(out, str(DEMO), "--resolution", "1/4")
    return out


@pytest.mark.slow
def test_a_student_of_an_eighth_is_no_worse_than_its_vanilla_teacher(run: Path) -> None:
    models = json.loads((run / "report.json").read_text())["models"]
    student, vanilla = models["student"], models["vanilla"]
    assert student["gaussians"] <= 0.12 * vanilla["gaussians"]
    assert student["psnr"] >= vanilla["psnr"]
    assert student["ssim"] >= vanilla["ssim"] - 0.005
    assert student["flip"] <= vanilla["flip"]


@pytest.mark.slow
def test_an_ensemble_is_better_than_its_teachers(run: Path) -> None:
    models = json.loads((run / "report.json").read_text())["models"]
    teachers = [models[name]["psnr"] for name in ("vanilla", "perturbed", "dropout")]
    assert models["ensemble"]["psnr"] > sum(teachers) / len(teachers)
