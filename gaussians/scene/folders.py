"""Where a scene's images lie, and which of several sizes of them to read."""

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gaussians.errors import SceneError
from gaussians.scene.headers import read_header
from gaussians.scene.resolution import Resolution

RUN_FILE, RUN_PICTURE = "recipe.json", "report.png"
"""What tells a run's folder, and the image in it that is no photo."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_FULL_SIZE = ("images", ".")
_FOLDERS = ("images", "images_2", "images_4", "images_8", ".")
_FEWEST_FOUND = 3  # of a scene that lacks images; and no less than half, or it's another scene's folder


class ImageFolder:
    """The images of one folder and its subfolders, by name.

    Another suffix than asked for is accepted, and another spelling of the same letters.
    """

    def __init__(self, root: Path):
        self.root = root
        self._by_name: dict[str, Path] = {}
        self._by_stem: dict[str, Path] = {}
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            if is_image(name) and not is_report(path):
                self._by_name[name] = path
                self._by_stem.setdefault(stem_of(name), path)

    @property
    def names(self) -> tuple[str, ...]:
        """All images, posix, relative to the folder, sorted."""
        return tuple(self._by_name)

    @functools.cached_property
    def _by_letters(self) -> dict[str, Path]:
        """By names and stems however they are spelt; made when a name as it is was not found."""
        by_letters: dict[str, Path] = {}
        for names in (self._by_name, self._by_stem):
            for name, path in names.items():
                by_letters.setdefault(_letters(name), path)
        return by_letters

    def find(self, name: str) -> Path | None:
        """The image of that name, or of that name with another suffix, or None."""
        stem = stem_of(name) if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else name
        found = self._by_name.get(name) or self._by_stem.get(stem)
        found = found or self._by_letters.get(_letters(name)) or self._by_letters.get(_letters(stem))
        # Some files name images outside of the scene's folder.
        return found or (self.root / name if (self.root / name).is_file() else None)


@dataclass(frozen=True)
class Choice:
    """The image files that were chosen, in the order of the names asked for.

    Attributes:
        paths: one for each name; None: it's missing, and to be left out.
        full: the same at full size; None where only reduced images are there.
        folder: what they lie in, relative to the scene: "images_2".
        reduction: their size over that of the scene's full-size images, at most 1.
        notes: what is missing, one line each.
    """

    paths: tuple[Path | None, ...]
    full: tuple[Path | None, ...]
    folder: str
    reduction: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    """The images in one folder, for each name asked for; None where there is none."""

    label: str
    paths: tuple[Path | None, ...]

    @property
    def gaps(self) -> tuple[int, ...]:
        return tuple(index for index, path in enumerate(self.paths) if path is None)

    @property
    def width(self) -> int:
        """Of the first image there is, pixels."""
        return next(read_header(path).stored_width for path in self.paths if path is not None)


def is_image(name: str) -> bool:
    """Whether a posix name is that of an image we read. Hidden files are not: macOS leaves ._IMG_0.jpg."""
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in path.parts)


def is_report(path: Path) -> bool:
    """Whether an image is the picture of a run's report: a run may lie among the photos that it is of."""
    return path.name == RUN_PICTURE and (path.parent / RUN_FILE).exists()


def stem_of(name: str) -> str:
    """A posix name without its suffix."""
    return str(PurePosixPath(name).with_suffix("")) if name else name


def choose_images(
    scene: Path,
    names: Sequence[str],
    lens_widths: Sequence[int | None],
    resolution: Resolution,
    source: str,
    held_out: frozenset[str] = frozenset(),
) -> Choice:
    """Find the images of `names` in images, images_2, images_4, images_8 or the scene's folder itself.

    Of the folders that lack the fewest, the one with the smallest images that are not smaller than asked for.

    Args:
        scene: the scene's folder.
        names: posix, relative to the image folder, as the file with the cameras has them.
        lens_widths: of the names' lenses: the full size, where there is no full-size image.
        resolution: asked for.
        source: the file with the cameras, for messages.
        held_out: names of test views, all of which may be missing.

    Raises:
        SceneError: too many are missing; says how many, and the first of them. Or two names are one image.
    """
    candidates = _candidates(scene, names)
    best = min(candidates, key=lambda candidate: len(candidate.gaps))
    notes = _missing(scene, names, source, best, held_out)
    alike = sorted(
        (candidate for candidate in candidates if candidate.gaps == best.gaps), key=lambda each: each.width
    )
    full_size = next((candidate for candidate in alike if candidate.label in _FULL_SIZE), None)
    lens_width = next(width for width, path in zip(lens_widths, best.paths, strict=True) if path is not None)
    full = full_size.width if full_size else lens_width or alike[-1].width
    # A fraction has one pixel of tolerance: a half of 1557 is 778 to one program and 779 to another.
    wanted = resolution.width or int(full * (resolution.fraction or 1.0) + 0.5) - 1
    chosen = next((each for each in alike if each.width >= wanted), alike[-1])
    _refuse_twins(scene / source, names, chosen.paths)
    full_paths = full_size.paths if full_size else (None,) * len(names)
    return Choice(chosen.paths, full_paths, chosen.label, min(1.0, chosen.width / full), notes)


def _candidates(scene: Path, names: Sequence[str]) -> list[_Candidate]:
    """What each folder there is has of the names; the scene itself only where no other has all."""
    candidates: list[_Candidate] = []
    for label in _FOLDERS:
        if (scene / label).is_dir() and not (label == "." and any(not each.gaps for each in candidates)):
            folder = ImageFolder(scene / label)
            candidates.append(_Candidate(label, tuple(folder.find(name) for name in names)))
    return candidates


def _missing(
    scene: Path, names: Sequence[str], source: str, best: _Candidate, held_out: frozenset[str]
) -> tuple[str, ...]:
    """Notes on what is left out for want of an image. Raises SceneError where too much would be."""
    gone = [names[index] for index in best.gaps]
    needed = [name for name in gone if name not in held_out]
    total = sum(name not in held_out for name in names)
    found = total - len(needed)
    where = scene if best.label == "." else scene / best.label
    if needed and (found < _FEWEST_FOUND or 2 * found < total):
        raise SceneError(
            f"{scene / source}: {len(needed)} of its {total} images are missing in {where} (the first: "
            f"{needed[0]}); put the images there, or find cameras for those that are left."
        )
    tests = [name for name in gone if name in held_out]
    return tuple(
        f"left out {len(lacking)} {kind} without an image in {where.name} (the first: {lacking[0]})"
        for kind, lacking in (("photos", needed), ("test views", tests))
        if lacking
    )


def _refuse_twins(source: Path, names: Sequence[str], paths: Sequence[Path | None]) -> None:
    """Raise SceneError where a photo has two cameras: it could be trained on and be a test view.

    Names may spell it differently, so what is compared is the file that they lead to.
    """
    seen: dict[Path, str] = {}
    for name, path in zip(names, paths, strict=True):
        if path is None:
            continue
        real = path.resolve()
        if real in seen:
            which = name if name == seen[real] else f"{seen[real]} and {name}, which are one file"
            raise SceneError(f"{source}: a photo has two cameras ({which}); delete one of them.")
        seen[real] = name


def _letters(name: str) -> str:
    """The same for names that differ only in case, or in how Unicode composes their letters."""
    return unicodedata.normalize("NFC", name).casefold()
