"""How a step sees a view: in what size, with which harmonics and opacities, and before what background."""

import torch
from torch import Tensor

from gaussians.model import Gaussians
from gaussians.raster import rasterize, rasterize_stored
from gaussians.train.coarse import Cameras
from gaussians.train.objective import Rendered
from gaussians.train.recipe import Optimise
from gaussians.train.schedule import active_sh_degree
from gaussians.train.variation import Variation


class Renderer:
    """Renders training views as the recipe has them in each step.

    Args:
        cameras: of the views.
        recipe: of the optimisation.
        background: [3] the scene's, on the device of the Gaussians.
        variation: whose opacities are rendered; None: the Gaussians' own.
        backend: of the rasterizer.
    """

    def __init__(
        self,
        cameras: Cameras,
        recipe: Optimise,
        background: Tensor,
        variation: Variation | None,
        backend: str,
    ) -> None:
        self._cameras, self._recipe, self._background = cameras, recipe, background
        self._variation, self._backend = variation, backend

    def render(
        self,
        gaussians: Gaussians,
        view: int,
        step: int,
        generator: torch.Generator | None,
        absgrad: bool,
        looks: bool,
    ) -> Rendered:
        """A view, with gradients.

        Args:
            gaussians: at least one.
            view: whose camera is rendered.
            step: from 0.
            generator: of what is drawn; None: nothing is.
            absgrad: also sum absolute 2-D gradients.
            looks: for NaN.

        Raises:
            SplatError: NaN or infinity in a value of the Gaussians, if it looks.
        """
        opacities, background = None, None
        if generator is not None and self._variation is not None and self._variation.disturbs(step):
            opacities = self._variation.opacities(gaussians.opacities, step, generator)
        if self._recipe.random_background:
            background = torch.rand(3, generator=generator, device=self._background.device)
        degree = active_sh_degree(self._recipe, step)
        binning = self._cameras.factor(view, step)
        settings = {
            **self._cameras.tensors(view, binning),
            "sh_degree": degree,
            "backgrounds": (self._background if background is None else background)[None],
            "absgrad": absgrad,
            "trusted": not looks,
            "backend": self._backend,
        }
        # Of several views `Batch.together` asks whether means2d retains its gradient: a leaf says no.
        if opacities is None and self._recipe.batch == 1:
            image, alpha, meta = rasterize_stored(gaussians, **settings)
        else:
            image, alpha, meta = rasterize(
                gaussians.means,
                gaussians.quats,
                gaussians.scales,
                gaussians.opacities if opacities is None else opacities,
                gaussians.sh0 if degree == 0 else (gaussians.sh0, gaussians.shN),
                **settings,
            )
        return Rendered(image.squeeze(0), alpha[0, :, :, 0], background, meta, binning)
