"""Where a scene's images lie, and which of several sizes of them to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gaussians.errors import SceneError
from gaussians.scene.headers import read_header
from gaussians.scene.resolution import Resolution

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_FOLDERS = ("images", "images_2", "images_4", "images_8", ".")


class ImageFolder:
    """The images of one folder and its subfolders, by name. Another suffix than asked for is accepted."""

    def __init__(self, root: Path):
        self.root = root
        self._by_name: dict[str, Path] = {}
        self._by_stem: dict[str, Path] = {}
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                name = path.relative_to(root).as_posix()
                self._by_name[name] = path
                self._by_stem.setdefault(stem_of(name), path)

    @property
    def names(self) -> tuple[str, ...]:
        """All images, posix, relative to the folder, sorted."""
        return tuple(self._by_name)

    def find(self, name: str) -> Path | None:
        """The image of that name, or of that name with another suffix, or None."""
        known = PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
        found = self._by_name.get(name) or self._by_stem.get(stem_of(name) if known else name)
        # Some files name images outside of the scene's folder.
        return found or (self.root / name if (self.root / name).is_file() else None)


@dataclass(frozen=True)
class Choice:
    """The image files that were chosen, in the order of the names asked for.

    Attributes:
        paths: one for each name.
        folder: what they lie in, relative to the scene: "images_2".
        reduction: their size over that of the scene's full-size images, at most 1.
    """

    paths: tuple[Path, ...]
    folder: str
    reduction: float


def stem_of(name: str) -> str:
    """A posix name without its suffix."""
    return str(PurePosixPath(name).with_suffix("")) if name else name


def choose_images(
    scene: Path, names: Sequence[str], lens_width: int | None, resolution: Resolution, source: str
) -> Choice:
    """Find the images of `names` in images, images_2, images_4, images_8 or the scene's folder itself.

    Taken is the folder with the smallest images that are not smaller than asked for.

    Args:
        scene: the scene's folder.
        names: posix, relative to the image folder, as the file with the cameras has them.
        lens_width: of the first name's lens: the full size, where there is no full-size image.
        resolution: asked for.
        source: the file with the cameras, for messages.

    Raises:
        SceneError: no folder holds all of them; says how many are missing and the first of them.
    """
    found: list[tuple[int, str, tuple[Path, ...]]] = []
    fewest: tuple[int, str, str] | None = None
    for label in _FOLDERS:
        if not (scene / label).is_dir() or (label == "." and found):
            continue
        folder = ImageFolder(scene / label)
        paths = [folder.find(name) for name in names]
        missing = [name for name, path in zip(names, paths, strict=True) if path is None]
        if not missing:
            complete = tuple(path for path in paths if path is not None)
            found.append((read_header(complete[0]).stored_width, label, complete))
        elif fewest is None or len(missing) < fewest[0]:
            fewest = (len(missing), missing[0], label)
    if not found:
        raise _missing(scene, names, source, fewest)
    found.sort(key=lambda candidate: candidate[0])
    full = next((width for width, label, _ in found if label in ("images", ".")), lens_width) or found[-1][0]
    # A fraction has one pixel of tolerance: a half of 1557 is 778 to one program and 779 to another.
    wanted = resolution.width or int(full * (resolution.fraction or 1.0) + 0.5) - 1
    width, label, paths = next((each for each in found if each[0] >= wanted), found[-1])
    return Choice(paths, label, min(1.0, width / full))


def _missing(
    scene: Path, names: Sequence[str], source: str, fewest: tuple[int, str, str] | None
) -> SceneError:
    count, name, label = fewest or (len(names), names[0], "images")
    where = scene if label == "." else scene / label
    return SceneError(
        f"{scene / source}: {count} of its {len(names)} images are missing in {where} (the first: {name}); "
        "put the images there, or delete them from the file."
    )
