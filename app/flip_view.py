"""The FLIP map of the two images that are compared, while the camera rests."""

from gaussians.session.flip_process import FlipMap, FlipMaps
from gaussians.session.messages.frame import Frame


class FlipView:
    """Follows the comparison.

    Args:
        maps: makes the maps.
    """

    def __init__(self, maps: FlipMaps) -> None:
        self._maps = maps

    @property
    def problem(self) -> str | None:
        """Why there is no map and will be none."""
        return self._maps.problem

    def of(self, first: Frame, second: Frame) -> FlipMap | None:
        """The newest map of these two models by this camera, the first as the reference.

        None: there is none yet. It may show the models as they were a moment ago: they are trained meanwhile.
        """
        if not (first.sharp and second.sharp) or first.image.shape != second.image.shape:
            return None
        camera = second.camera
        key = (first.model, second.model, camera.viewmat.tobytes(), camera.K.tobytes(), second.image.shape)
        if first.camera.viewmat.tobytes() != camera.viewmat.tobytes():
            return None  # one of the two is still on its way
        self._maps.ask(key, first.image, second.image)
        newest = self._maps.newest
        return newest if newest is not None and newest.key == key else None
