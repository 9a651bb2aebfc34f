"""All that can be shown of what is open: photos, models finished and live, what teachers say together."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaussians.camera import Camera
from gaussians.distill.labels import MEAN, label_shares, seen_together
from gaussians.distill.pipeline import ENSEMBLE, STUDENT
from gaussians.errors import RecipeError
from gaussians.model import Gaussians
from gaussians.scene import Scene, View
from gaussians.session.aside import Arriving, Aside, Sitting
from gaussians.session.heat import heat_colors
from gaussians.session.history import HISTORY, History, history_step
from gaussians.session.live import Live
from gaussians.session.placed_photo import PlacedPhoto, sees_photo
from gaussians.train.evaluate import render_view

Drawer = Callable[[Gaussians, Camera, tuple[float, float, float]], tuple[np.ndarray, int]]
"""Draws Gaussians of SH degree 0, on the CPU, otherwise than by rendering: from a camera, before a
background, to [H, W, 3] uint8, and how many of them. Raises BackendUnavailableError where it can't."""

PHOTO, DISAGREEMENT = "photo", "disagreement"
_LEAST_SCALE = 0.02  # of the disagreement's colours: below, teachers agree but for noise
_PERCENTILE = 99.5  # of the disagreement: what is brightest
_NONE = np.empty(0, np.float32)


@dataclass(frozen=True)
class Picture:
    """A rendered view, on the CPU.

    Attributes:
        image: [H, W, 3] uint8.
        count: Gaussians rendered.
        psnr: dB against the photo, where there is one.
        extra: see `messages.frame.Frame`.
    """

    image: np.ndarray
    count: int
    psnr: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Kept:
    """A model that isn't being trained: here already, or read when it is first looked at."""

    count: int
    version: int
    read: Callable[[], Gaussians]
    gaussians: Gaussians | None = None


class Developing:
    """A picture whose pixels may still be on their way.

    Args:
        arriving: the pixels; None: none are needed.
        make: the picture of them.
    """

    def __init__(self, arriving: Arriving | None, make: Callable[[np.ndarray], Picture]) -> None:
        self._arriving, self._make = arriving, make

    def is_done(self) -> bool:
        """Whether `picture` need not wait."""
        return self._arriving is None or self._arriving.is_here()

    def picture(self) -> Picture:
        """The picture, once it is done."""
        return self._make(_NONE if self._arriving is None else self._arriving.pixels())

    def seconds(self) -> float | None:
        """What it took a GPU, once it is done; None: no GPU took part."""
        return None if self._arriving is None else self._arriving.seconds()


class Gallery:
    """Renders what a cell asks for.

    Args:
        device: where to render.
        teachers: names, in the order they are shown; or those of a splat file.
        weights: of the teachers in the ensemble.
        scene: for photos and background; None: a splat alone, on black.
        live: the model being trained, if any.
        history: the student's snapshots.

    Attributes:
        weights: may be replaced.
        combine: how the teachers' renders become the ensemble's, see `labels.Blending`; may be replaced.
    """

    def __init__(
        self,
        device: torch.device,
        teachers: tuple[str, ...],
        weights: Mapping[str, float],
        scene: Scene | None = None,
        live: Callable[[], Live | None] = lambda: None,
        history: History | None = None,
        background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.device, self.teachers, self.weights = device, teachers, dict(weights)
        self.live, self.history, self.combine = live, history, MEAN.combine
        self._views: dict[str, View] = {}
        self._background = background
        if scene is not None:
            self._views = {view.name: view for view in (*scene.train, *scene.test)}
            self._background = scene.background
        self._kept: dict[str, _Kept] = {}
        self._versions = 0
        self._photo: tuple[Hashable, PlacedPhoto] | None = None
        self._snapshot: tuple[str, Gaussians] | None = None
        self._renders: dict[str, tuple[Hashable, Tensor]] = {}
        self._aside = Aside(device)

    def keep(self, model: str, count: int, read: Callable[[], Gaussians]) -> None:
        """A finished model: `read` gives it when it is wanted, on any device."""
        self._versions += 1
        self._kept[model] = _Kept(count, self._versions, read)

    def counts(self) -> dict[str, int]:
        """How many Gaussians each model has that can be shown now, in display order; the history apart."""
        counts = {PHOTO: 0} if self._views else {}
        live = self.live()
        single = {name: kept.count for name, kept in self._kept.items()}
        if live is not None:
            single[live.model] = len(live.gaussians)
        teachers = {name: single[name] for name in self.teachers if name in single}
        counts |= teachers
        together = sum(count for name, count in teachers.items() if self.weights.get(name, 1.0) > 0)
        if len(self.teachers) > 1 and together > 0:
            counts[ENSEMBLE] = together
        if STUDENT in single:
            counts[STUDENT] = single[STUDENT]
        if len(teachers) > 1:
            counts[DISAGREEMENT] = sum(teachers.values())
        return counts

    def version(self, model: str, dataset: str | None) -> Hashable | None:
        """Changes when the model's picture may; None: there is nothing to show."""
        if model == PHOTO:
            return dataset if dataset in self._views else None
        if model.startswith(HISTORY):
            step = history_step(model)
            return model if self.history is not None and step in self.history.steps else None
        if model in (ENSEMBLE, DISAGREEMENT):
            if model not in self.counts():
                return None
            parts = tuple((name, self.version(name, dataset)) for name in self._present())
            return (*parts, tuple(self.weights.items()))
        live = self.live()
        if live is not None and live.model == model:
            return ("live", live.step)
        return self._kept[model].version if model in self._kept else None

    def is_splat(self, model: str) -> bool:
        """Whether the model is there, and one set of Gaussians."""
        return model not in (PHOTO, ENSEMBLE, DISAGREEMENT) and self.version(model, None) is not None

    def gaussians(self, model: str) -> Gaussians:
        """One model's Gaussians, not a copy, where `version` is not None. Raises SplatError, RunError."""
        live = self.live()
        if live is not None and live.model == model:
            return live.gaussians
        if model.startswith(HISTORY):
            if self._snapshot is None or self._snapshot[0] != model:
                assert self.history is not None, "a version was given"
                self._snapshot = (model, self.history.load(history_step(model)).to(self.device))
            return self._snapshot[1]
        kept = self._kept[model]
        if kept.gaussians is None:
            kept.gaussians = kept.read().to(self.device)
        return kept.gaussians

    def begin(
        self, model: str, camera: Camera, dataset: str | None, drawer: Drawer | None = None
    ) -> Developing:
        """Render a model that has a version; with a drawer have that draw it, if it is one set of Gaussians.

        Raises:
            SplatError, RunError, BackendUnavailableError: it can't be shown.
        """
        photo = self._placed_photo(camera, dataset)
        if model == PHOTO:
            if photo is None:
                raise KeyError(PHOTO)
            return Developing(None, lambda _: Picture(photo.image, 0))
        counts, live = self.counts(), self.live()
        parts = self._present() if model in (ENSEMBLE, DISAGREEMENT) else [model]
        changing = live.gaussians if live is not None and live.model in parts else None
        extra = {"step": live.step} if live is not None and live.model == model else {}
        with self._aside.rendering(changing) as sitting:
            if drawer is not None and self.is_splat(model):
                gaussians = sitting.sheltered(self.gaussians(model)).map(Tensor.detach)
                plain = dataclasses.replace(gaussians, shN=gaussians.shN[:, :0]).to("cpu")
                image, drawn = drawer(plain, camera, self._background)
                solid = Picture(image, len(plain), extra=extra | {"drawn": drawn})
                return Developing(None, lambda _: solid)
            if model == DISAGREEMENT:
                return self._disagreement(camera, counts[DISAGREEMENT], sitting)
            if model == ENSEMBLE:
                shares = label_shares({name: self.weights.get(name, 1.0) for name in parts})
                renders = [self._render(name, camera, sitting) for name in shares]
                image, count = seen_together(renders, tuple(shares.values()), self.combine), counts[ENSEMBLE]
            else:
                image, count = self._render(model, camera, sitting), len(self.gaussians(model))
            arriving = sitting.arriving(image)

        def picture(pixels: np.ndarray) -> Picture:
            psnr = None if photo is None else photo.psnr(pixels)
            return Picture(_bytes(pixels), count, psnr, extra)

        return Developing(arriving, picture)

    def _present(self) -> list[str]:
        counts = self.counts()
        return [name for name in self.teachers if name in counts]

    def _render(self, model: str, camera: Camera, sitting: Sitting) -> Tensor:
        """[H, W, 3]; kept for the next one who wants the same, as the ensemble does of each teacher."""
        key = (self.version(model, None), camera.key)
        known = self._renders.get(model)
        if known is not None and known[0] == key:
            return known[1]
        gaussians = sitting.sheltered(self.gaussians(model))
        image = render_view(gaussians, camera, self._background, self.device)
        if model in self.teachers:
            self._renders[model] = (key, image)
        return image

    def _disagreement(self, camera: Camera, count: int, sitting: Sitting) -> Developing:
        """The teachers' standard deviation per pixel, the mean of the channels', in colour."""
        renders = torch.stack([self._render(name, camera, sitting) for name in self._present()])

        def picture(spread: np.ndarray) -> Picture:
            scale = max(_LEAST_SCALE, float(np.percentile(spread, _PERCENTILE)))
            extra = {"scale": scale, "mean": float(spread.mean())}
            return Picture(heat_colors(spread / scale), count, None, extra)

        return Developing(sitting.arriving(renders.std(dim=0, correction=0).mean(dim=-1)), picture)

    def _placed_photo(self, camera: Camera, dataset: str | None) -> PlacedPhoto | None:
        view = self._views.get(dataset or "")
        if view is None or not sees_photo(view, camera):
            return None
        key = (view.name, camera.key)
        if self._photo is None or self._photo[0] != key:
            self._photo = (key, PlacedPhoto(view, camera, self._background))
        return self._photo[1]


def checked_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights themselves. Raises RecipeError, of use to the user, where they leave no teacher."""
    try:
        label_shares(weights)
    except RecipeError as error:
        raise RecipeError(f"{error}. The weights stay as they were") from error
    return dict(weights)


def _bytes(pixels: np.ndarray) -> np.ndarray:
    return (pixels * 255).round().astype(np.uint8)
