"""What every rasterizer backend refuses before it starts, said in one line."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gaussians.errors import SplatError
from gaussians.raster.constants import RENDER_MODES, SH_DEGREE_MAX

_CAMERA = "check the scene's cameras"
_GAUSSIANS = "remove these Gaussians, or lower the learning rate if training made them"
_ADVICE = {"viewmats": _CAMERA, "Ks": _CAMERA, "backgrounds": "give finite background colours"}


def check_pixel_weights(pixel_weights: Tensor | None, viewmats: Tensor, width: int, height: int) -> None:
    """Raises ValueError unless there are none, or [C, H, W] of them."""
    wanted = (len(viewmats), height, width)
    if pixel_weights is not None and tuple(pixel_weights.shape) != wanted:
        raise ValueError(f"pixel_weights {tuple(pixel_weights.shape)}: must be {wanted}")


def check_inputs(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor] | None,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    dtypes: Sequence[torch.dtype] = (torch.float32,),
    wait: bool = True,
    trusted: bool = False,
) -> "FiniteCheck":
    """Check the arguments of `rasterize` (or, with colors None, of `blend_weights`).

    Reads each tensor once. On CUDA that is one synchronisation.

    Args:
        wait: for the values; False: the caller waits, by `finish` of what is returned. All else is checked
            at once either way.
        trusted: the values are known to be finite, and not looked at.

    Raises:
        ValueError: a shape, type, device, size, plane or mode that does not fit; names both sides.
        SplatError: as `FiniteCheck.finish`.
    """
    n, cameras = means.shape[0] if means.dim() else 0, viewmats.shape[0] if viewmats.dim() else 0
    wanted: dict[str, tuple[Tensor, tuple[int, ...]]] = {
        "means": (means, (n, 3)),
        "quats": (quats, (n, 4)),
        "scales": (scales, (n, 3)),
        "opacities": (opacities, (n,)),
        "viewmats": (viewmats, (cameras, 4, 4)),
        "Ks": (Ks, (cameras, 3, 3)),
    }
    for name, part, shape in _color_parts(colors, n, sh_degree):
        wanted[name] = part, shape
    if backgrounds is not None:
        channels = colors.shape[-1] if sh_degree is None and isinstance(colors, Tensor) else 3
        wanted["backgrounds"] = backgrounds, (cameras, channels)
    _check_settings(width, height, cameras, near_plane, far_plane, eps2d, render_mode)
    _check_tensors(wanted, dtypes)
    finite = FiniteCheck({} if trusted else {name: tensor for name, (tensor, _) in wanted.items()})
    if wait:
        finite.finish()
    return finite


def _check_tensors(
    wanted: Mapping[str, tuple[Tensor, tuple[int, ...]]], dtypes: Sequence[torch.dtype]
) -> None:
    """Each has the shape beside it, and the type and the device of the means. Raises ValueError."""
    (means, _), (viewmats, _) = wanted["means"], wanted["viewmats"]
    for name, (tensor, shape) in wanted.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f"{name}: shape {list(tensor.shape)}, expected {list(shape)}"
                f" (means {list(means.shape)}, viewmats {list(viewmats.shape)})"
            )
        if tensor.dtype not in dtypes or tensor.dtype != means.dtype:
            allowed = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
            raise ValueError(f"{name}: {tensor.dtype}, expected {allowed}, the same for all tensors")
        if tensor.device != means.device:
            raise ValueError(f"{name}: on {tensor.device}, but means is on {means.device}; move one of them")


class FiniteCheck:
    """A search for NaN and infinity, begun when it is made: on CUDA the host goes on without waiting for it.

    Args:
        tensors: by name, on one device; not to be changed before `finish`.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        # A sum is NaN or infinite if any term is, and takes a hundredth of the time of isfinite().all().
        # Huge but finite terms can overflow it too, so only the slow look in `finish` decides.
        sums = [tensor.detach().sum() for tensor in tensors.values()]
        self._sums = torch.stack(sums) if sums else torch.zeros(0)
        self._copied: torch.cuda.Event | None = None
        if self._sums.is_cuda:
            pinned = torch.empty(self._sums.shape, dtype=self._sums.dtype, pin_memory=True)
            self._sums = pinned.copy_(self._sums, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(next(iter(tensors.values())).device))

    def finish(self) -> None:
        """Wait for the outcome.

        Raises:
            SplatError: NaN or infinity in a tensor; names it, counts them and says what to do.
        """
        if self._copied is not None:
            self._copied.synchronize()
        if bool(torch.isfinite(self._sums).all()):
            return
        for name, tensor in self._tensors.items():
            bad = ~torch.isfinite(tensor.detach())
            count = int(bad.sum())
            if count:
                rows = bad.reshape(bad.shape[0], -1).any(dim=1).nonzero().flatten()
                raise SplatError(
                    f"{name}: {count} of {tensor.numel()} values are NaN or infinite, in {len(rows)} of "
                    f"{tensor.shape[0]} rows, first in row {int(rows[0])}; {_ADVICE.get(name, _GAUSSIANS)}"
                )


def whole(colors: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Colours or coefficients in one tensor, [N, D] or [N, K, 3]; to be checked before."""
    return torch.cat(colors, dim=1) if isinstance(colors, tuple) else colors


def _color_parts(
    colors: Tensor | tuple[Tensor, Tensor] | None, n: int, sh_degree: int | None
) -> list[tuple[str, Tensor, tuple[int, ...]]]:
    """Name, tensor and wanted shape of what the colours came in."""
    if colors is None:
        return []
    if isinstance(colors, Tensor):
        return [("colors", colors, _color_shape(colors, n, sh_degree))]
    if sh_degree is None or len(colors) != 2:
        raise ValueError(f"colors: {len(colors)} tensors; two are spherical harmonics, with sh_degree")
    first, others = colors
    return [
        ("colors[0]", first, (n, 1, 3)),
        ("colors[1]", others, _color_shape(others, n, sh_degree, apart=1)),
    ]


def _color_shape(colors: Tensor, n: int, sh_degree: int | None, apart: int = 0) -> tuple[int, ...]:
    """The shape that colors, less what comes `apart`, should have, as far as they leave it open."""
    if sh_degree is None:
        channels = colors.shape[-1] if colors.dim() else 0
        return (n, max(channels, 1))
    if not 0 <= sh_degree <= SH_DEGREE_MAX:
        raise ValueError(f"sh_degree = {sh_degree}: must be between 0 and {SH_DEGREE_MAX}")
    coefficients = colors.shape[1] if colors.dim() == 3 else 0
    return (n, max(coefficients, (sh_degree + 1) ** 2 - apart), 3)


def _check_settings(
    width: int, height: int, cameras: int, near_plane: float, far_plane: float, eps2d: float, render_mode: str
) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"image of {width} x {height} pixels: both must be at least 1")
    if cameras < 1:
        raise ValueError("viewmats: no cameras; expected [C, 4, 4] with C at least 1")
    if not 0 < near_plane < far_plane:
        # Depths must be positive: they are divided by, and sorted by their bits on CUDA.
        raise ValueError(f"near_plane = {near_plane}, far_plane = {far_plane}: need 0 < near < far")
    if not eps2d >= 0:
        raise ValueError(f"eps2d = {eps2d}: must be at least 0")
    if render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode = {render_mode!r}: must be one of {', '.join(RENDER_MODES)}")
