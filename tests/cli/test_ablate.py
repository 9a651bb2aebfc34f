"""`ablate` and `distill --within` as processes: stopped and gone on with; and what they say to bad input."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaussians.cli import main
from gaussians.distill.recipe_json import to_json
from gaussians.distill.variants import TEACHER_SETS, VARIANTS
from gaussians.io import write_splat
from tests.cli.command_line import PROJECT, refused
from tests.session import tiny


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("scene") / "tiny", views=17)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.json"
    path.write_text(json.dumps(to_json(tiny.recipe())))
    return path


@pytest.fixture(scope="module")
def finished(scene: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ablation") / "out"
    assert main(["ablate", str(scene), "--out", str(out), *flags(recipe)]) == 0
    return out


def flags(recipe: Path) -> list[str]:
    return [
        *("--recipe", str(recipe), "--test-every", "4", "--device", "cpu", "--seeds", "1"),
        *("--variants", "base,no-structure+sh-0", "--budget", "10%,20%"),
    ]


def qualities(out: Path) -> list[tuple[str, str, str]]:
    lines = csv.DictReader((out / "results.csv").read_text().splitlines())
    return [(line["model"], line["budget"], line["psnr"]) for line in lines]


def test_stopped_by_sigterm_it_saves_and_goes_on_by_its_folder_alone(
    scene: Path, recipe: Path, finished: Path, tmp_path: Path
):
    out = tmp_path / "out"
    line = [sys.executable, str(PROJECT / "main.py"), "ablate"]
    process = subprocess.Popen([*line, str(scene), "--out", str(out), *flags(recipe)], stderr=subprocess.PIPE)
    metrics = out / "tiny/seed-3/student-photos-only-10pct/metrics.jsonl"
    while process.poll() is None and not metrics.exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors.decode()
    assert f"main.py ablate --out {out}" in errors.decode()
    assert main(["ablate", "--out", str(out)]) == 0
    assert qualities(out) == qualities(finished)


def test_progress_says_what_is_trained_and_how_much_is_left(
    scene: Path, recipe: Path, finished: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["ablate", "--out", str(finished), "--variants", "labels-20", "--budget", "10%"]) == 0
    captured = capsys.readouterr()
    assert "9 runs, 7 of them done before" in captured.err
    assert "tiny, seed 3: labels-20 at 10%: begins; 2 runs left" in captured.err
    assert "tiny, seed 3: labels-20 at 20%: begins; 1 run left, about" in captured.err
    assert "dB to vanilla" in captured.err
    assert "labels-20" in captured.out
    assert str(finished / "quality.svg") in captured.out


def test_list_shows_all_variants_and_teacher_sets(capsys: pytest.CaptureFixture[str]):
    assert main(["ablate", "--variants", "list"]) == 0
    text = capsys.readouterr().out
    for each in (*VARIANTS, *TEACHER_SETS):
        assert each.name in text
        assert each.description in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--variants", "best"], '"best"'),
        (["--variants", "twins+absgrad"], "each bring their own teachers"),
        (["--seeds", "0"], "--seeds 0"),
        (["--budget", "10%,lots"], 'budget "lots"'),
        (["--budget", ""], "--budget: is empty"),
        (["--recipe", "best"], "preview, fast, paper"),
        (["--steps", "0"], "--steps 0"),
        (["--save-every", "nan"], "--save-every nan"),
        (["--set", "student.colour=1"], "student.colour=1"),
        (["--device", "tpu"], "tpu"),
        (["--resolution", "half"], "half"),
        (["--test-every", "0"], "holds out no view"),
    ],
)
def test_bad_flags_get_one_line(
    more: list[str], said: str, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert main(["ablate", str(scene), "--out", str(out), *more]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    assert said in lines[0]


def test_what_is_missing_is_named(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "--out" in refused(capsys, "ablate", str(scene))
    assert "give one or more scenes" in refused(capsys, "ablate", "--out", str(tmp_path / "gone"))
    line = refused(capsys, "ablate", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"))
    assert "nowhere: no such folder" in line
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refused(capsys, "ablate", str(scene), "--out", str(tmp_path / "file"))
    assert not (tmp_path / "out").exists()


def test_runs_and_ablations_keep_out_of_each_other(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run, ablation = tmp_path / "run", tmp_path / "ablation"
    for folder, name in ((run, "recipe.json"), (ablation, "ablation.json")):
        folder.mkdir()
        (folder / name).write_text("mine")
    line = refused(capsys, "ablate", str(scene), "--out", str(run))
    assert line == f"error: {run}: holds a run; choose another --out"
    for more in ([], ["--resume"]):
        line = refused(capsys, "distill", str(scene), "--out", str(ablation), *more)
        assert line == f"error: {ablation}: holds an ablation; choose another --out"
    assert [path.name for path in run.iterdir()] == ["recipe.json"]
    assert [path.name for path in ablation.iterdir()] == ["ablation.json"]


def test_another_recipe_or_resolution_is_refused(finished: Path, capsys: pytest.CaptureFixture[str]):
    before = (finished / "ablation.json").read_bytes()
    assert "would change the recipe" in refused(capsys, "ablate", "--out", str(finished), "--recipe", "fast")
    assert "how scenes are read" in refused(capsys, "ablate", "--out", str(finished), "--resolution", "1/2")
    assert (finished / "ablation.json").read_bytes() == before


def test_what_failed_before_training_can_be_asked_for_otherwise(
    scene: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert main(["ablate", str(scene), "--out", str(out), "--test-every", "0", "--device", "cpu"]) == 2
    assert main(["ablate", str(scene), "--out", str(out), *flags(recipe), "--variants", "photos-only"]) == 0
    assert len(qualities(out)) == 6


def test_within_searches_and_says_where_the_frontier_is(
    scene: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "run"
    begin = ["distill", str(scene), "--out", str(out), "--recipe", str(recipe), "--test-every", "4"]
    assert main([*begin, "--device", "cpu", "--within", "3dB"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == f"frontier {out / 'frontier.csv'}"
    assert "tried" in captured.err
    # The flags again, and the folder alone, both go on; another tolerance does not.
    assert main([*begin, "--within", "3 dB", "--resume"]) == 0
    assert main(["distill", "--out", str(out), "--resume"]) == 0
    capsys.readouterr()
    assert "within 3 dB" in refused(capsys, *begin, "--within", "1dB", "--resume")


def test_within_that_nothing_reaches_is_said_plainly(
    scene: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "run"
    begin = ["distill", str(scene), "--out", str(out), "--recipe", str(recipe), "--test-every", "4"]
    truth = tmp_path / "truth.ply"
    write_splat(truth, tiny.true_gaussians())
    begin += ["--background", "#334d66", "--teacher", str(truth)]
    assert main([*begin, "--device", "cpu", "--within", "0dB"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("not within 0 dB: even the largest student tried")
    assert (out / "frontier.csv").exists()
    assert (out / "student.ply").exists()


def test_within_and_budget_exclude_each_other(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    begin = ["distill", str(scene), "--out", str(tmp_path / "run")]
    assert main([*begin, "--within", "0.2dB", "--budget", "12%"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert main([*begin, "--within", "lots"]) == 2
    assert '--within "lots"' in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
