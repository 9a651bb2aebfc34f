"""Which pairs of photos to match: all, or those that a glance says overlap.

The glance is preemptive matching (Wu 2013, "Towards linear-time incremental structure from motion"): a
photo's largest features are few, and the likeliest to be found again. No trained vocabulary to download.
"""

from pathlib import Path

import numpy as np

from gaussians.scene.types import Progress

Pair = tuple[str, str]

_GLANCED = 256  # largest features of a photo
_RATIO = 0.8  # of nearest to second nearest distance (Lowe 2004)
_PARTNERS = 20  # likeliest photos for each photo
_NEIGHBOURS = 5  # next photos by name: the next moments of a walk or a film


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
    shared = np.zeros((len(names), len(names)), int)
    for i, glance in enumerate(glances):
        report("comparing photos", i, len(names))
        for j in range(i + 1, len(names)):
            similar = glance @ glances[j].T
            shared[i, j] = shared[j, i] = _distinct(np.ascontiguousarray(similar.T)) + _distinct(similar)
    report("comparing photos", len(names), len(names))
    pairs: set[tuple[int, int]] = set()
    for i, row in enumerate(shared):
        best = np.argsort(-row, kind="stable")[:_PARTNERS]
        partners = {int(j) for j in best if row[j] > 0} | set(
            range(i + 1, min(i + 1 + _NEIGHBOURS, len(names)))
        )
        pairs |= {(min(i, j), max(i, j)) for j in partners if j != i}
    return [(names[i], names[j]) for i, j in sorted(pairs)]


def _largest_features(names: tuple[str, ...], database: Path) -> list[np.ndarray]:
    """Unit descriptors [at most _GLANCED, 128] float32 of each photo's largest features."""
    import pycolmap

    glances = []
    with pycolmap.Database.open(database) as opened:
        for name in names:
            image = opened.read_image_with_name(name)
            assert image is not None, name
            descriptors = np.asarray(opened.read_descriptors(image.image_id).data, np.float32)
            affine = np.asarray(opened.read_keypoints(image.image_id))[:, 2:]
            largest = np.argsort(-np.square(affine).sum(axis=1), kind="stable")[:_GLANCED]
            chosen = descriptors[largest]
            glances.append(chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-6))
    return glances


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
