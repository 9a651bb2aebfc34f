"""What happens at which step: learning rates, SH bands, the order of the views, the seeds.

All are functions of the step alone (and of fixed settings), so a checkpoint holds no schedule position and
no random-number state, and a run that is resumed at any step continues with the same numbers.
"""

import zlib

import numpy as np
import torch

from gaussians.train.recipe import LearningRates, Optimise


def learning_rates(rates: LearningRates, extent: float, step: int, steps: int) -> dict[str, float]:
    """Adam's learning rate for each parameter, under gsplat's names.

    Positions: `rates.means` x extent, falling exponentially by the factor `rates.means_final` over `steps`
    (Kerbl et al. 2023, §7.1). The others fall likewise by `rates.final`, which is 1 in the original.
    """
    progress = min(step / steps, 1.0)
    others = rates.final**progress
    return {
        "means": rates.means * extent * rates.means_final**progress,
        "scales": rates.log_scales * others,
        "quats": rates.quats * others,
        "opacities": rates.logit_opacities * others,
        "sh0": rates.sh0 * others,
        "shN": rates.shN * others,
    }


def active_sh_degree(recipe: Optimise, step: int) -> int:
    """The SH degree rendered at `step`: one more every `sh_every` steps, or all at once where that is 0."""
    if recipe.sh_every == 0:
        return recipe.sh_degree
    return min(step // recipe.sh_every, recipe.sh_degree)


class Draws:
    """Every random choice of one optimisation, as a function of (seed, stream, step).

    Args:
        seed: of the whole run, not negative.
        stream: the optimisation's name; optimisations of another name draw independently.
    """

    def __init__(self, seed: int, stream: str) -> None:
        # crc32 and not hash(): Python salts the hash of a string in every process.
        self._key = (seed, zlib.crc32(stream.encode()))
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def view(self, step: int, count: int) -> int:
        """Which of `count` views is trained on at `step`: a new permutation of all for every epoch."""
        epoch, place = divmod(step, count)
        if epoch != self._epoch or len(self._order) != count:
            self._order = np.random.default_rng([*self._key, epoch]).permutation(count)
            self._epoch = epoch
        return int(self._order[place])

    def seed(self, step: int, purpose: str) -> int:
        """The seed of other draws at `step`, independent for every purpose: 63 well mixed bits."""
        words = [*self._key, step, zlib.crc32(purpose.encode())]
        return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def generator(self, step: int, purpose: str, device: torch.device) -> torch.Generator:
        """A generator on `device` for draws at `step`, independent for every purpose."""
        return torch.Generator(device).manual_seed(self.seed(step, purpose))
