"""Sample points: Owen-scrambled (0, 2)-sequences, one per pixel and purpose, better than chance."""

import numpy as np
from numba import njit

MOST_SAMPLES = 1024
"""Points in a sequence; a power of two, so that shuffling may be confined to them."""


@njit(cache=True)
def mixed(a, b):
    """A 32-bit hash of two integers."""
    h = np.uint32(a) ^ np.uint32(np.uint32(b) * np.uint32(0x9E3779B9))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D))
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(h ^ (h >> np.uint32(16)))


@njit(cache=True)
def _reversed(x):
    x = np.uint32(
        ((x & np.uint32(0x55555555)) << np.uint32(1)) | ((x >> np.uint32(1)) & np.uint32(0x55555555))
    )
    x = np.uint32(
        ((x & np.uint32(0x33333333)) << np.uint32(2)) | ((x >> np.uint32(2)) & np.uint32(0x33333333))
    )
    x = np.uint32(
        ((x & np.uint32(0x0F0F0F0F)) << np.uint32(4)) | ((x >> np.uint32(4)) & np.uint32(0x0F0F0F0F))
    )
    x = np.uint32(
        ((x & np.uint32(0x00FF00FF)) << np.uint32(8)) | ((x >> np.uint32(8)) & np.uint32(0x00FF00FF))
    )
    return np.uint32((x << np.uint32(16)) | (x >> np.uint32(16)))


@njit(cache=True)
def _permuted(x, seed):
    """Each bit flipped by a hash of the bits below it (Laine and Karras 2011, with their constants)."""
    x = np.uint32(x + seed)
    x = np.uint32(x ^ np.uint32(x * np.uint32(0x6C50B47C)))
    x = np.uint32(x ^ np.uint32(x * np.uint32(0xB82F1E52)))
    x = np.uint32(x ^ np.uint32(x * np.uint32(0xC7AFE638)))
    return np.uint32(x ^ np.uint32(x * np.uint32(0x8D22F6E6)))


@njit(cache=True)
def pair(index, seed):
    """The index-th point in [0, 1)² of the sequence `seed` (padded and shuffled as in Burley 2020)."""
    i = _reversed(_permuted(_reversed(np.uint32(index)), mixed(seed, 1))) & np.uint32(MOST_SAMPLES - 1)
    first = _reversed(i)
    second, direction = np.uint32(0), np.uint32(0x80000000)
    while i != 0:
        if i & np.uint32(1):
            second = np.uint32(second ^ direction)
        direction = np.uint32(direction ^ (direction >> np.uint32(1)))
        i = np.uint32(i >> np.uint32(1))
    first = _reversed(_permuted(_reversed(first), mixed(seed, 2)))
    second = _reversed(_permuted(_reversed(second), mixed(seed, 3)))
    return first * 2.3283064e-10, second * 2.3283064e-10
