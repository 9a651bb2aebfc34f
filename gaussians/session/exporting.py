"""Writing a model for others, and proving that the file holds it."""

from pathlib import Path

from gaussians.errors import SplatError
from gaussians.io import write_splat
from gaussians.session.gallery import Gallery
from gaussians.session.measure import verified
from gaussians.session.messages.reports import Exported


def export(gallery: Gallery, model: str, path: Path) -> Exported:
    """Write a model as the splat file that the path's suffix names, read it back and compare.

    Raises:
        SplatError: it isn't one model's Gaussians, or the suffix can't be written.
        StorageError: the file can't be written, or reads back other than written.
        RunError: the model can't be read from the run.
    """
    if not gallery.is_splat(model):
        raise SplatError(
            f"{model}: can't be exported; choose a teacher, the student or a step of its history"
        )
    gaussians = gallery.gaussians(model).detached().to("cpu")
    write_splat(path, gaussians)
    verified(path, gaussians)
    return Exported(path, len(gaussians), path.stat().st_size)
