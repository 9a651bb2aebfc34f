"""The visible Gaussians from near to far: a radix sort of as few bits as their depths differ by."""

import numba
import numpy as np

RADIX_BITS = 11
_LOW = np.uint64(0xFFFFFFFF)


@numba.njit(parallel=True, cache=True, nogil=True)
def visible_indices(radii, n_workers):
    """Indices n with radii[n] > 0 [N, 2], ascending: int32 [V]."""
    count = radii.shape[0]
    ends = np.empty(n_workers + 1, np.int64)
    ends[0] = 0
    for worker in numba.prange(n_workers):
        seen = 0
        for n in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            seen += radii[n, 0] > 0
        ends[worker + 1] = seen
    for worker in range(n_workers):
        ends[worker + 1] += ends[worker]
    out = np.empty(ends[-1], np.int32)
    for worker in numba.prange(n_workers):
        place, end = ends[worker], ends[worker + 1]
        for n in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            if place < end:
                out[place] = n
                place += radii[n, 0] > 0
    return out


@numba.njit(parallel=True, cache=True, nogil=True)
def radix_pass(pairs_in, pairs_out, shift, bits, n_workers):
    """One stable pass of a radix sort of uint64 by `bits` of their bits from `shift` on."""
    count, buckets = pairs_in.shape[0], 1 << bits
    mask = np.uint64(buckets - 1)
    histogram = np.zeros((n_workers, buckets), np.int64)
    for worker in numba.prange(n_workers):
        for i in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            histogram[worker, (pairs_in[i] >> shift) & mask] += 1
    total = 0
    for digit in range(buckets):
        for worker in range(n_workers):
            here = histogram[worker, digit]
            histogram[worker, digit] = total
            total += here
    for worker in numba.prange(n_workers):
        for i in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            digit = (pairs_in[i] >> shift) & mask
            position = histogram[worker, digit]
            histogram[worker, digit] = position + 1
            pairs_out[position] = pairs_in[i]


@numba.njit(parallel=True, cache=True, nogil=True)
def depth_pairs(depths, visible, n_workers):
    """Of each visible Gaussian the bits of its depth, less the least, above its place; and the most of them.

    Returns:
        [V] uint64, and one.
    """
    count = visible.shape[0]
    pairs = np.empty(count, np.uint64)
    bounds = np.empty((n_workers, 2), np.uint64)
    for worker in numba.prange(n_workers):
        least, most = _LOW, np.uint64(0)
        for v in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            bits = np.uint64(depths[visible[v]])
            least, most = min(least, bits), max(most, bits)
            pairs[v] = bits
        bounds[worker, 0], bounds[worker, 1] = least, most
    least, most = bounds[:, 0].min(), bounds[:, 1].max()
    for worker in numba.prange(n_workers):
        for v in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            pairs[v] = ((pairs[v] - least) << np.uint64(32)) | np.uint64(v)
    return pairs, most - min(least, most)


# The same for few, without waking a thread eight times. Not cached: in the cache they would have one name.
_few_pairs = numba.njit(nogil=True)(depth_pairs.py_func)
_few_pass = numba.njit(nogil=True)(radix_pass.py_func)
FEW = 32768


@numba.njit(cache=True, nogil=True)
def depth_order(depths, visible, n_workers):
    """The visible Gaussians from near to far, ties by index.

    Args:
        depths: [N] float32, positive where visible, so that their bits sort as they do.
        visible: [V] int32, indices.

    Returns:
        [V] int32, places in `visible`.
    """
    bits, few = depths.view(np.uint32), len(visible) <= FEW
    pairs, most = _few_pairs(bits, visible, 1) if few else depth_pairs(bits, visible, n_workers)
    width = 0
    while most >> np.uint64(width):
        width += 1
    passes = -(-width // RADIX_BITS)
    other = np.empty_like(pairs)
    for turn in range(passes):
        digit = -(-width // passes)  # as few as do, for the sake of the cache
        shift = np.uint64(32 + turn * digit)
        if few:
            _few_pass(pairs, other, shift, digit, 1)
        else:
            radix_pass(pairs, other, shift, digit, n_workers)
        pairs, other = other, pairs
    return (pairs & _LOW).astype(np.int32)
