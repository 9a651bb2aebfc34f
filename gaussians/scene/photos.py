"""Photos without cameras: structure from motion with pycolmap, done once and kept.

Features are SIFT; pairs of photos are all pairs, or the likeliest ones of many photos (pairs.py); cameras and
points come from COLMAP's incremental mapping (Schönberger and Frahm 2016). Photos of one size share one
SIMPLE_RADIAL lens.
"""

import hashlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from gaussians import storage
from gaussians.errors import SceneError, StorageError
from gaussians.scene.capture import Capture, Shot
from gaussians.scene.colmap import (
    lens_of,
    points_of,
    quieten,
    read_reconstruction,
    registered_images,
    viewmat_of,
)
from gaussians.scene.colmap_files import check_model, is_model
from gaussians.scene.folders import ImageFolder, is_image, is_report, stem_of
from gaussians.scene.headers import ORIENTATION, Header, read_header
from gaussians.scene.images import cores, in_threads
from gaussians.scene.pairs import all_pairs, likely_pairs
from gaussians.scene.pixels import decode
from gaussians.scene.types import Progress
from gaussians.scene.unreadable import PHOTOS, unreadable

if TYPE_CHECKING:
    import pycolmap

FEWEST_PHOTOS = 3
SOURCE = "structure from motion"
"""Of points that were found with the cameras, as `Points.source` has it."""
_FEWEST_PLACED = 0.5  # share of the photos; with less, the scene would not be the one that was photographed
_EXHAUSTIVE = 80  # photos up to which every pair is matched: 3160 pairs
_LARGEST_SIDE = 2000  # px searched for features; finer detail costs minutes and places cameras no better
_SMALL_SIDE = 1200  # px up to which photos are searched at double size too, for enough features
_MOST_FEATURES = 4096  # of a photo; twice as many quadruple the time of matching
_MODEL = "SIMPLE_RADIAL"
_VERSION = "1"  # of what is kept: raise it when these settings change
_READ_BY_PYCOLMAP = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
_SAMPLE = 1 << 16  # bytes of each file's beginning and end that tell files apart


def find_photos(scene: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that holds the photos (images, else the scene itself) and their names, sorted."""
    if (scene / "images").is_dir():
        names = ImageFolder(scene / "images").names
        if names:
            return scene / "images", names
    direct = (path.name for path in scene.iterdir() if is_image(path.name) and not is_report(path))
    return scene, tuple(sorted(direct))


def read(folder: Path, names: Sequence[str], cache: Path, progress: Progress | None) -> Capture:
    """Find cameras and points for photos, or take those found before.

    Args:
        folder: the photos' folder.
        names: their names relative to it.
        cache: where results are kept, one folder for each set of photos.
        progress: told of photos searched, pairs matched and photos placed.

    Raises:
        SceneError: too few photos, a broken one, or photos that do not fit together.
        StorageError: the result could not be written.
    """
    passed_over = unreadable(folder, PHOTOS, known={stem_of(name) for name in names})
    if len(names) < FEWEST_PHOTOS:
        unread = "".join(f" ({line})" for line in passed_over)
        count = "1 photo" if len(names) == 1 else f"{len(names)} photos"
        raise SceneError(
            f"{folder}: {count} without cameras{unread}; structure from motion takes at least "
            f"{FEWEST_PHOTOS}, better 20. Add photos, or a COLMAP model in sparse/0, or transforms.json."
        )
    paths = [folder / name for name in names]
    headers = list(in_threads(read_header, paths))
    model = kept_model(folder, names, cache)
    known = is_model(model)
    if not known:
        _reconstruct(folder, names, headers, model, progress)
    _, reconstruction = read_reconstruction(model)
    images = registered_images(reconstruction, model)
    shots = tuple(
        Shot(
            image.name,
            folder / image.name,
            viewmat_of(image, model),
            lens_of(reconstruction.cameras[image.camera_id]),
            upright=True,
        )
        for image in images
    )
    notes = [f"structure from motion: placed {len(shots)} of {len(names)} photos, kept in {model}"]
    if known:
        notes = [f"cameras from structure from motion done before: {model}"]
    left_out = sorted(set(names) - {shot.name for shot in shots})
    if left_out:
        notes.append(f"left out {len(left_out)} photos that could not be placed (the first: {left_out[0]})")
    notes += [f"passed over {line}" for line in passed_over]
    return Capture(shots, points_of(reconstruction, SOURCE), notes=tuple(notes))


def kept_model(folder: Path, names: Sequence[str], cache: Path) -> Path:
    """The folder in `cache` in which the cameras found for these photos are kept, or will be."""
    return cache / f"photos-{_fingerprint(names, [folder / name for name in names])}"


def _fingerprint(names: Sequence[str], paths: Sequence[Path]) -> str:
    """Tells sets of photos apart by names, sizes and content; copies of the same photos are the same."""
    digest = hashlib.sha256(_VERSION.encode())
    for name, path in zip(names, paths, strict=True):
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{name}\0{size}\0".encode())
            digest.update(file.read(_SAMPLE))
            file.seek(max(0, size - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]


def _reconstruct(
    folder: Path, names: Sequence[str], headers: Sequence[Header], model: Path, progress: Progress | None
) -> None:
    """Run structure from motion and write the model."""
    import pycolmap

    quieten()
    pycolmap.set_random_seed(0)
    report = progress or (lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="splat-distillery-") as temporary:
        work = Path(temporary)
        plain = _plain_names(folder, names, headers, work / "photos")
        try:
            _extract(tuple(plain), headers, work, report)
            _match(tuple(plain), work, report)
            best = _map(len(names), work, report)
        # pybind11 hands over C++ exceptions as these.
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SceneError(
                f"{folder}: structure from motion failed ({reason}); give the photos cameras: a COLMAP model "
                "in sparse/0, or transforms.json."
            ) from error
        placed = 0 if best is None else best.num_reg_images()
        if best is None or placed < max(FEWEST_PHOTOS, _FEWEST_PLACED * len(names)):
            raise SceneError(
                f"{folder}: structure from motion placed only {placed} of {len(names)} photos; take more, "
                "sharp, with much overlap and from many positions, or give them cameras."
            )
        for image in best.images.values():
            image.name = plain[image.name]
        with storage.replacing_folder(model) as target:
            best.write_binary(target)
            try:
                check_model(target)  # pycolmap does not tell when the disk is full
            except SceneError as error:
                raise StorageError(f"{model}: could not be written whole; free some space.") from error


def _plain_names(
    folder: Path, names: Sequence[str], headers: Sequence[Header], target: Path
) -> dict[str, str]:
    """Make a folder of the same photos for pycolmap; returns their names there, and what they were.

    pycolmap reads pixels as stored, whatever EXIF says, and shall see what is trained on; it does not read
    all formats; and its list of pairs separates names by spaces. So photos are linked, or copied upright,
    under plain names.
    """
    target.mkdir()
    pairs = list(zip(names, headers, strict=True))

    def prepare(index: int) -> str:
        name, header = pairs[index]
        source, suffix = folder / name, Path(name).suffix.lower()
        if header.orientation == 1 and suffix in _READ_BY_PYCOLMAP:
            plain = f"{index:06d}{suffix}"
            try:
                (target / plain).symlink_to(source.absolute())
            except OSError:  # Windows, without the right to
                shutil.copyfile(source, target / plain)
            return plain
        plain = f"{index:06d}.jpg"
        exif = Image.Exif()
        with Image.open(source) as image:
            exif.update(image.getexif())
        exif.pop(ORIENTATION, None)
        Image.fromarray(decode(source, upright=True)[..., :3]).save(target / plain, quality=95, exif=exif)
        return plain

    return dict(zip(in_threads(prepare, range(len(names))), names, strict=True))


def _extract(plain: Sequence[str], headers: Sequence[Header], work: Path, report: Progress) -> None:
    """Find SIFT features, a few photos at a time. Photos of one size share one camera."""
    import pycolmap

    database, photos = work / "database.db", work / "photos"
    pycolmap.Database.open(database).close()
    by_size: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, header in zip(plain, headers, strict=True):
        by_size[header.size(upright=True)].append(name)
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = _MODEL
    for group in by_size.values():
        # Entered in order first: the threads of the extraction would number them by who ends first.
        pycolmap.import_images(database, photos, pycolmap.CameraMode.SINGLE, group, reader)
    options = pycolmap.FeatureExtractionOptions()
    options.max_image_size = _LARGEST_SIDE
    options.num_threads = cores()
    options.sift.max_num_features = _MOST_FEATURES
    side, step, done = max(max(size) for size in by_size), 2 * cores(), 0
    options.sift.first_octave = -1 if side <= _SMALL_SIDE else 0
    for group in by_size.values():
        for start in range(0, len(group), step):
            report("finding features", done, len(plain))
            batch = group[start : start + step]
            pycolmap.extract_features(
                database, photos, image_names=batch, reader_options=reader, extraction_options=options
            )
            done += len(batch)
    report("finding features", done, len(plain))


def _match(names: tuple[str, ...], work: Path, report: Progress) -> None:
    """Match features and verify them geometrically, some pairs at a time."""
    import pycolmap

    database, pair_file = work / "database.db", work / "pairs.txt"
    pairs = all_pairs(names) if len(names) <= _EXHAUSTIVE else likely_pairs(names, database, report)
    matching = pycolmap.FeatureMatchingOptions()
    matching.num_threads = cores()
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = 0
    step = 20 * cores()
    for start in range(0, len(pairs), step):
        report("matching photos", start, len(pairs))
        batch = pairs[start : start + step]
        pair_file.write_text("".join(f"{one} {other}\n" for one, other in batch), encoding="utf-8")
        pairing = pycolmap.ImportedPairingOptions()
        pairing.match_list_path = pair_file
        pycolmap.match_image_pairs(
            database, matching_options=matching, pairing_options=pairing, verification_options=verification
        )
    report("matching photos", len(pairs), len(pairs))


def _map(count: int, work: Path, report: Progress) -> "pycolmap.Reconstruction | None":
    """The largest reconstruction, or None."""
    import pycolmap

    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = cores()
    options.random_seed = 0
    options.min_model_size = FEWEST_PHOTOS
    placed = 0

    def one_more(by: int) -> None:
        nonlocal placed
        placed = min(placed + by, count)
        report("placing photos", placed, count)

    (work / "models").mkdir()
    found = pycolmap.incremental_mapping(
        work / "database.db",
        work / "photos",
        work / "models",
        options,
        initial_image_pair_callback=lambda: one_more(2),
        next_image_callback=lambda: one_more(1),
    )
    return max(found.values(), key=pycolmap.Reconstruction.num_reg_images, default=None)
