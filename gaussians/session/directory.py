"""The run directory: where everything of a run lies, and recipe.json, which says what the run is."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from gaussians.distill.pipeline import STUDENT
from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_json import from_json, to_json
from gaussians.errors import RecipeError, RunError, SplatError, StorageError
from gaussians.io import read_splat
from gaussians.model import Gaussians
from gaussians.scene import Scene, SceneOptions
from gaussians.scene.cameras_json import CAMERAS_FILE, write_cameras
from gaussians.scene.folders import RUN_FILE, RUN_PICTURE
from gaussians.session.machine import versions
from gaussians.storage import remove_partial, write_json

RECIPE_FILE, REPORT_FILE = RUN_FILE, "report.json"
ABLATION_FILE = "ablation.json"
"""In the folder of an ablation, which is no run."""
CAMERAS_FOLDER = "structure-from-motion"
"""In a run: cameras found for photos that came without."""
SAME_PLACE = 1e-3  # x the extent of a scene: cameras so near are the same one


@dataclass(frozen=True)
class RunPlan:
    """What recipe.json holds: everything needed to repeat the run.

    Attributes:
        scene: the folder that was asked for, absolute.
        options: how it is read.
        recipe: what is trained.
        device: "cpu" or "cuda".
        teachers: splat files given as teachers, by name; empty: they are trained.
        halvings: how often width and height of `options.resolution` were halved for want of memory, less
            than was asked for.
    """

    scene: Path
    options: SceneOptions
    recipe: Recipe
    device: str
    teachers: dict[str, Path] = dataclasses.field(default_factory=dict)
    halvings: int = 0

    @property
    def teacher_names(self) -> tuple[str, ...]:
        """The teachers' names, the one that counts as vanilla first."""
        return tuple(self.teachers) or self.recipe.teachers.kinds


class RunDirectory:
    """Paths in a run directory, and its recipe.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.labels = path / "labels"
        self.history = path / "history"
        self.metrics = path / "metrics.jsonl"
        self.report = path / REPORT_FILE
        self.picture = path / RUN_PICTURE
        self.cameras = path / CAMERAS_FILE

    def splat(self, model: str) -> Path:
        """Where the PLY of a teacher or the student lies."""
        return self.path / "student.ply" if model == STUDENT else self.path / "teachers" / f"{model}.ply"

    def finished_splat(self, model: str) -> Gaussians:
        """A model that is finished, as its PLY has it. Raises SplatError, saying how to make it anew."""
        path = self.splat(model)
        try:
            return read_splat(path)
        except SplatError as error:
            why = str(error) if path.exists() else f"{path}: is gone"
            mark = self.checkpoints / f"{model}.json"
            raise SplatError(f"{why}; put it back, or delete {mark}, and the model is made anew") from error

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / RECIPE_FILE).exists()

    def check_there(self) -> None:
        """Before a write, which would make its folders anew: a second, empty run where one was moved from.

        Raises:
            StorageError: the folder is gone.
        """
        if not self.exists:
            raise StorageError(
                f"{self.path}: the run's folder is gone, moved or deleted; put it back, then resume"
            )

    def check_unused(self) -> None:
        """Raise RunError if a run can't begin here: there is one already, or the path can't be a folder."""
        try:
            is_used, is_ablation = self.exists, (self.path / ABLATION_FILE).exists()
            nearest = next((path for path in (self.path, *self.path.parents) if path.exists()), None)
        except OSError as error:  # as of too long a name
            why = f"can't be a folder ({error.strerror})"
            raise RunError(f"{self.path}: {why}; choose another --out") from error
        if is_used:
            raise RunError(
                f"{self.path}: holds a run already; add --resume to go on with it, or choose another --out"
            )
        if is_ablation:
            raise RunError(f"{self.path}: holds an ablation; choose another --out")
        if nearest is None:
            raise RunError(f"{self.path}: its drive or share isn't there; choose another --out")
        if not nearest.is_dir():
            where = "is a file" if nearest == self.path else f"{nearest} is a file"
            raise RunError(f"{self.path}: {where}; --out wants a folder")

    def create(self, plan: RunPlan) -> None:
        """Begin a run.

        Raises:
            RunError: as `check_unused`.
            StorageError: the folder can't be written.
        """
        self.check_unused()
        options = plan.options
        write_json(
            self.path / RECIPE_FILE,
            {
                "scene": str(plan.scene),
                "resolution": options.resolution,
                "test_every": options.test_every,
                "test_names": list(options.test_names),
                "background": options.background,
                "random_points": options.random_points,
                "seed": plan.recipe.seed,
                "device": plan.device,
                "teachers": {name: str(path) for name, path in plan.teachers.items()},
                "halvings": plan.halvings,
                "recipe": to_json(plan.recipe),
                "versions": versions(),
            },
        )

    def load(self) -> RunPlan:
        """Read recipe.json. Raises RunError, naming what is wrong with it."""
        path = self.path / RECIPE_FILE
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            recipe = from_json(document["recipe"])
            options = SceneOptions(
                resolution=document["resolution"],
                test_every=document["test_every"],
                test_names=tuple(document["test_names"]),
                background=document["background"],
                random_points=document["random_points"],
                seed=recipe.seed,
                cache=self.path / CAMERAS_FOLDER,
            )
            teachers = {name: Path(path) for name, path in document["teachers"].items()}
            halvings = int(document.get("halvings", 0))  # runs from before had none noted
            return RunPlan(Path(document["scene"]), options, recipe, document["device"], teachers, halvings)
        except FileNotFoundError:
            raise RunError(
                f"{self.path}: no run here ({RECIPE_FILE} is missing); give the folder of a run"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{path}: not readable as a recipe ({error!r}); restore it or start a new run"
            ) from error
        except RecipeError as error:
            raise RunError(f"{path}: {error}") from error

    def note_cameras(self, scene: Scene) -> None:
        """Write those of the training views: who distils these splats again must not see the others.

        Not beside a splat that is the scene itself: it would be looked at from there the next time.

        Raises:
            RunError: the run was begun on other training views, or on these from elsewhere. With a photo
                missing, others are held out, on which it has trained.
        """
        known, wanted = self.trained_views(), {view.name: view.camera.centre for view in scene.train}
        back = "put photos, masks and cameras back as they were, or begin a new run"
        if known and known.keys() != wanted.keys():
            name = min(known.keys() ^ wanted.keys())
            how = "was trained on, and isn't now" if name in known else "was not trained on, and is now"
            raise RunError(f"{self.path}: was begun on other photos of {scene.path}: {name} {how}; {back}")
        for name, place in known.items():
            if math.dist(place, wanted[name]) > SAME_PLACE * scene.extent:
                raise RunError(
                    f"{self.path}: was begun with other cameras of {scene.path}: {name} was taken from "
                    f"elsewhere; {back}"
                )
        within = self.path.resolve() in scene.path.resolve().parents
        if not self.cameras.exists() and not within:
            self.check_there()
            write_cameras(self.cameras, scene.train, scene.background)

    def note_scene(self, scene: Scene, path: Path) -> None:
        """Before the run goes on: note where its scene, which was read from this path, lies now.

        Raises:
            RunError: it is another scene, see `note_cameras`.
            StorageError: that can't be written.
        """
        self.note_cameras(scene)
        file = self.path / RECIPE_FILE
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["scene"] != str(path):
            write_json(file, document | {"scene": str(path)})

    def trained_views(self) -> dict[str, tuple[float, ...]]:
        """Position, in world coordinates, of each view that is trained on, as `note_cameras` wrote them.

        Empty where it didn't.
        """
        try:
            entries = json.loads(self.cameras.read_text(encoding="utf-8"))
            return {str(entry["img_name"]): tuple(map(float, entry["position"])) for entry in entries}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Within: no other process can work on this run. A killed process leaves no lock behind.

        What one left half-written, up to a checkpoint's size, is deleted at the beginning.

        Raises:
            RunError: another process is working on it, or its folder can't be written.
        """
        busy = "another process is training this run; wait for it or stop it"
        with locked_folder(self.path, busy):
            for folder in (self.path, self.checkpoints, self.splat("").parent, self.labels, self.history):
                remove_partial(folder)
            yield


@contextlib.contextmanager
def locked_folder(folder: Path, busy: str) -> Iterator[None]:
    """Within: no other process that locks this folder can. A killed process leaves no lock behind.

    Raises:
        RunError: one does already, which is said by `busy`; or the folder can't be written.
    """
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:  # an OSError, too
        raise RunError(f"{folder}: {busy}") from None
    except OSError as error:
        reason = error.strerror or error
        raise RunError(
            f"{folder}: can't be written ({reason}); get leave to write there, or copy it to where you have"
        ) from error
    try:
        yield
    finally:
        lock.release()
