"""Which pairs of photos to match: all, or those that a glance says overlap.

The glance is preemptive matching (Wu 2013, "Towards linear-time incremental structure from motion"): a
photo's largest features are few, and the likeliest to be found again. Of many photos, each is glanced at
beside its shortlist only: those whose summary (VLAD: Jégou et al. 2010, "Aggregating local descriptors into
a compact image representation") is nearest. The summary's words are learnt from the photos themselves: no
trained vocabulary to download.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gaussians.scene.types import Progress

if TYPE_CHECKING:
    import pycolmap

Pair = tuple[str, str]

_GLANCED = 256  # largest features of a photo
_RATIO = 0.8  # of nearest to second nearest distance (Lowe 2004)
_PARTNERS = 20  # likeliest photos for each photo
_NEIGHBOURS = 5  # next photos by name: the next moments of a walk or a film
_SHORTLIST = 80  # photos glanced at beside each photo; with no more than that others, all are
_WORDS = 64  # of a summary, which takes 32 kB
_LEARNT_FROM = 1 << 15  # features, at most, that the words are learnt from
_ROUNDS = 10  # of k-means; later ones move few features
_BLOCK = 512  # summaries compared with all at a time: 8 kB a photo of the set


def all_pairs(names: tuple[str, ...]) -> list[Pair]:
    """Every photo with every later one."""
    return [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]


def likely_pairs(names: tuple[str, ...], database: Path, report: Progress) -> list[Pair]:
    """Each photo with those it shares the most large features with, and with the next ones by name.

    Args:
        names: photos in the database.
        database: COLMAP database with features extracted.
        report: told of photos compared.
    """
    glances = _largest_features(names, database)
    shared: list[dict[int, int]] = [{} for _ in names]
    for i, others in enumerate(_shortlists(names, database, glances)):
        report("comparing photos", i, len(names))
        for j in map(int, others):
            if j != i and j not in shared[i]:
                shared[i][j] = shared[j][i] = _shared(glances[i], glances[j])
    report("comparing photos", len(names), len(names))
    pairs: set[tuple[int, int]] = set()
    for i, counts in enumerate(shared):
        best = sorted(counts, key=lambda j: (-counts[j], j))[:_PARTNERS]
        partners = {j for j in best if counts[j] > 0} | set(
            range(i + 1, min(i + 1 + _NEIGHBOURS, len(names)))
        )
        pairs |= {(min(i, j), max(i, j)) for j in partners}
    return [(names[i], names[j]) for i, j in sorted(pairs)]


def _largest_features(names: tuple[str, ...], database: Path) -> list[np.ndarray]:
    """Unit descriptors [at most _GLANCED, 128] float32 of each photo's largest features."""
    import pycolmap

    glances = []
    with pycolmap.Database.open(database) as opened:
        for name in names:
            image = _image_id(opened, name)
            affine = np.asarray(opened.read_keypoints(image))[:, 2:]
            largest = np.argsort(-np.square(affine).sum(axis=1), kind="stable")[:_GLANCED]
            glances.append(_unit_descriptors(opened, image, largest))
    return glances


def _image_id(database: "pycolmap.Database", name: str) -> int:
    image = database.read_image_with_name(name)
    assert image is not None, name
    return image.image_id


def _unit_descriptors(
    database: "pycolmap.Database", image: int, which: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """[features, 128] float32, of unit length."""
    # One that was never searched has [0, 0].
    found = np.asarray(database.read_descriptors(image).data).reshape(-1, 128)[which].astype(np.float32)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)


def _shortlists(names: tuple[str, ...], database: Path, glances: list[np.ndarray]) -> Iterator[np.ndarray]:
    """For each photo, the indices of those to glance at beside it."""
    count = len(names)
    if count <= _SHORTLIST + 1:
        yield from (np.arange(count) for _ in range(count))
        return
    summaries = _summaries(names, database, _words(glances))
    for start in range(0, count, _BLOCK):
        alike = summaries[start : start + _BLOCK] @ summaries.T
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -np.inf
        yield from np.argsort(-alike, axis=1, kind="stable")[:, :_SHORTLIST]


def _words(glances: list[np.ndarray]) -> np.ndarray:
    """[at most _WORDS, 128] the middles of kinds of features (k-means, from a fixed seed)."""
    features = np.concatenate(glances)
    random = np.random.default_rng(0)
    sample = features[random.permutation(len(features))[:_LEARNT_FROM]]
    words = sample[:_WORDS].copy()
    if len(words) == 0:
        return words
    for _ in range(_ROUNDS):
        sums, counts = _gathered(sample, words)
        words = np.where(counts > 0, sums / np.maximum(counts, 1), words)
    return words


def _gathered(features: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the features nearest to each word: their sum [words, 128] and how many they are [words, 1]."""
    nearest = (features @ words.T - np.square(words).sum(axis=1) / 2).argmax(axis=1)
    belongs = (np.arange(len(words))[:, None] == nearest).astype(np.float32)
    return belongs @ features, belongs.sum(axis=1, keepdims=True)


def _summaries(names: tuple[str, ...], database: Path, words: np.ndarray) -> np.ndarray:
    """[photos, words * 128] float32 of unit length: how all features lie about the words; 0 without any."""
    import pycolmap

    summaries = np.zeros((len(names), words.size), np.float32)
    with pycolmap.Database.open(database) as opened:
        for summary, name in zip(summaries, names, strict=True):
            features = _unit_descriptors(opened, _image_id(opened, name))
            if len(features) > 0:
                sums, counts = _gathered(features, words)
                away = (sums - counts * words).ravel()
                # Roots: what repeats, as bricks do, shall not outweigh the rest.
                summary[:] = np.sign(away) * np.sqrt(np.abs(away))
                summary /= max(float(np.linalg.norm(summary)), 1e-6)
    return summaries


def _shared(one: np.ndarray, other: np.ndarray) -> int:
    """How many features each of two glances has clearly in the other, both ways."""
    similar = one @ other.T
    return _distinct(np.ascontiguousarray(similar.T)) + _distinct(similar)


def _distinct(similar: np.ndarray) -> int:
    """How many rows of cosine similarities, which are overwritten, have one column clearly nearest."""
    if similar.shape[0] == 0 or similar.shape[1] < 2:
        return 0
    nearest = similar.argmax(axis=1)[:, None]
    first = np.take_along_axis(similar, nearest, axis=1)
    np.put_along_axis(similar, nearest, -np.inf, axis=1)
    second = similar.max(axis=1, keepdims=True)
    # Distances of unit vectors: |a - b|² = 2 (1 - cos).
    return int(np.count_nonzero(1 - first < _RATIO**2 * (1 - second)))
