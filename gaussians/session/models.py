"""What RUN_OR_SPLAT means to eval, render and export: the models of a run, or one splat file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gaussians.distill.pipeline import STUDENT
from gaussians.errors import RunError, SplatError
from gaussians.session.directory import RunDirectory, RunPlan


@dataclass(frozen=True)
class Models:
    """Splat files by model name.

    Attributes:
        path: what was asked for.
        splats: teachers in the recipe's order, then the student, as far as they are finished; of a splat file
            that one, named after it. Never empty.
        plan: of the run; None for a splat file.
    """

    path: Path
    splats: Mapping[str, Path]
    plan: RunPlan | None = None

    def splat(self, model: str | None = None) -> Path:
        """The file of a model. None: a run's student, or the splat file itself.

        Raises:
            RunError: there is no such model, or it is not finished; lists those there are.
        """
        if model is None and self.plan is None:
            return next(iter(self.splats.values()))
        name = model or STUDENT
        if name not in self.splats:
            raise RunError(
                f"{self.path}: has no finished model {name}; there are {', '.join(self.splats)}. "
                "`distill --resume` finishes a run"
            )
        return self.splats[name]


def open_models(path: Path) -> Models:
    """Find the models of a run directory or of a splat file, without reading them.

    Raises:
        SplatError: no such file or folder.
        RunError: a folder that holds no run, or a run that has not finished any model.
    """
    if not path.exists():
        raise SplatError(f"{path}: no such file or folder; give a run directory or a splat file")
    if not path.is_dir():
        return Models(path, {path.stem: path})
    directory = RunDirectory(path)
    plan = directory.load()
    names = (*plan.teacher_names, STUDENT)
    splats = {name: directory.splat(name) for name in names if directory.splat(name).is_file()}
    if not splats:
        raise RunError(f"{path}: no model of this run is finished; go on with it by `distill --resume`")
    return Models(path, splats, plan)
