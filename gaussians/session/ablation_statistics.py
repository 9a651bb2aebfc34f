"""Means and spreads of an ablation over scenes and seeds; differences are paired by scene and seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from gaussians.distill.variants import BASE, PHOTOS_ONLY
from gaussians.session.ablation_rows import Row
from gaussians.session.halves import Quality

VANILLA = "vanilla"
Key = tuple[str, int]  # scene, seed
Model = tuple[str, str | None]  # name, budget


@dataclass(frozen=True)
class Figure:
    """A mean, and how it varies with the seed.

    Attributes:
        mean: over scenes of each scene's mean over seeds.
        spread: the standard deviation over seeds of the mean over scenes, of seeds that all scenes have; None
            with fewer than two.
    """

    mean: float
    spread: float | None


@dataclass(frozen=True)
class Summary:
    """One model over all scenes and seeds that it was trained on; differences in dB, None where unknown.

    Attributes:
        model, budget: as in its rows.
        runs: how many rows.
        gaussians, bytes, seconds: means.
        psnr, ssim, flip: on the views for reporting.
        psnr_choose: on those to choose by.
        differences: of PSNR to vanilla, photos-only and base, by these names, paired by scene and seed.
    """

    model: str
    budget: str | None
    runs: int
    gaussians: Figure
    bytes: Figure
    psnr: Figure
    ssim: Figure
    flip: Figure
    psnr_choose: Figure | None
    seconds: Figure
    differences: Mapping[str, Figure]


def reported(row: Row) -> Quality:
    """On the views for reporting; on all, where there are too few for halves. Runs hold out at least one."""
    quality = row.report or row.all
    assert quality is not None, "an ablation refuses scenes without held-out views"
    return quality


def figure(values: Mapping[Key, float]) -> Figure | None:
    """The mean and spread of values by scene and seed; None of nothing."""
    if not values:
        return None
    scenes = {scene for scene, _ in values}
    seeds = {seed for _, seed in values}
    means = [fmean(value for (of, _), value in values.items() if of == scene) for scene in scenes]
    complete = [seed for seed in seeds if all((scene, seed) in values for scene in scenes)]
    by_seed = [fmean(values[scene, seed] for scene in scenes) for seed in complete]
    return Figure(fmean(means), stdev(by_seed) if len(by_seed) > 1 else None)


def summaries(rows: Sequence[Row]) -> list[Summary]:
    """One for each model and budget, in the rows' order."""
    by_model: dict[Model, dict[Key, Row]] = {}
    for row in rows:
        by_model.setdefault((row.model, row.budget), {})[row.scene, row.seed] = row
    return [_summary(model, found, by_model) for model, found in by_model.items()]


def _summary(model: Model, found: Mapping[Key, Row], by_model: Mapping[Model, Mapping[Key, Row]]) -> Summary:
    name, budget = model

    def over(value: Callable[[Row], float]) -> Figure:
        result = figure({key: value(row) for key, row in found.items()})
        assert result is not None, "a model is listed for its rows"
        return result

    differences = {}
    for other in (VANILLA, PHOTOS_ONLY, BASE):
        partners = by_model.get((other, None if other == VANILLA else budget), {})
        pairs = {
            key: reported(row).psnr - reported(partners[key]).psnr
            for key, row in found.items()
            if key in partners
        }
        difference = figure(pairs)
        if difference is not None and name != other:
            differences[other] = difference
    return Summary(
        model=name,
        budget=budget,
        runs=len(found),
        gaussians=over(lambda row: row.gaussians),
        bytes=over(lambda row: row.bytes),
        psnr=over(lambda row: reported(row).psnr),
        ssim=over(lambda row: reported(row).ssim),
        flip=over(lambda row: reported(row).flip),
        psnr_choose=figure({key: row.choose.psnr for key, row in found.items() if row.choose is not None}),
        seconds=over(lambda row: row.seconds),
        differences=differences,
    )
