"""What every reader and writer promises: Gaussians whose numbers are finite."""

from pathlib import Path

import torch
from torch import Tensor

from gaussians.errors import SplatError
from gaussians.model import Gaussians

# 8-bit alphas 0 and 255 are logits of ∓infinity. ∓16 is an opacity within 1.2e-7 of 0 or 1: far below the
# 1/255 that can be seen, and still a gradient away from it.
MAX_LOGIT = 16.0


def checked(path: Path, gaussians: Gaussians) -> Gaussians:
    """The same Gaussians with infinite opacity logits brought to ∓MAX_LOGIT; finite ones stay as they are.

    Raises:
        SplatError: says how many Gaussians have other parameters, or scales, that are NaN or infinite, and
            which.
    """
    bad = {
        "means": _broken_rows(gaussians.means),
        "rotations": _broken_rows(gaussians.quats),
        # A logarithm may be finite and its scale, as a float32, may not.
        "scales": _broken_rows(gaussians.log_scales) | _broken_rows(gaussians.log_scales.exp()),
        "opacities": gaussians.logit_opacities.isnan(),
        "colours": _broken_rows(gaussians.sh0) | _broken_rows(gaussians.shN),
    }
    total = int(torch.stack(list(bad.values())).any(dim=0).sum())
    if total:
        which = ", ".join(f"{name} of {int(rows.sum())}" for name, rows in bad.items() if rows.any())
        raise SplatError(
            f"{path}: {total} of {len(gaussians)} Gaussians are NaN or infinite ({which}); "
            "the file is damaged or its training diverged."
        )
    logits = gaussians.logit_opacities
    bounded = torch.where(logits.isinf(), torch.sign(logits) * MAX_LOGIT, logits)
    return Gaussians(**{**gaussians.tensors(), "logit_opacities": bounded})


def _broken_rows(values: Tensor) -> Tensor:
    """[N] bool: any NaN or infinity in the row."""
    if values.sum().isfinite():  # ten times quicker than looking at each, and nearly always so
        return torch.zeros(len(values), dtype=torch.bool, device=values.device)
    return ~values.isfinite().flatten(start_dim=1).all(dim=1)
