"""What the painted surfaces are drawn with: noise, edges, repeats, lettering. Everything is compiled."""

import numpy as np
from numba import njit


def linear(code: str) -> tuple[float, float, float]:
    """A colour written as sRGB hex, as linear RGB in [0, 1]."""
    value = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255.0
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return float(light[0]), float(light[1]), float(light[2])


@njit(cache=True)
def mix(a, b, t):
    """Blend of two colours; t is clamped to [0, 1]."""
    t = min(max(t, 0.0), 1.0)
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


@njit(cache=True)
def scaled(a, t):
    """A colour, darker or lighter."""
    return (a[0] * t, a[1] * t, a[2] * t)


@njit(cache=True)
def smooth(low, high, x):
    """Smooth step from 0 at `low` to 1 at `high` (low may be the greater: then it falls)."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True)
def line(distance, half_width, soft):
    """Ink coverage of a line at a distance from its middle."""
    return smooth(half_width + soft, half_width - soft, abs(distance))


@njit(cache=True)
def fract(x):
    """Fractional part."""
    return x - np.floor(x)


@njit(cache=True)
def cell_hash(x, y, z):
    """A fixed pseudo-random number in [0, 1) for an integer cell."""
    h = np.uint32(x) * np.uint32(374761393) + np.uint32(y) * np.uint32(668265263)
    h = np.uint32(h + np.uint32(z) * np.uint32(2147483647))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(2246822519))
    return np.uint32(h ^ (h >> np.uint32(15))) / 4294967296.0


@njit(cache=True)
def noise(x, y, z):
    """Smooth value noise in [-1, 1], one feature per unit."""
    ix, iy, iz = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    fx, fy, fz = x - ix, y - iy, z - iz
    fx, fy, fz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
    total = 0.0
    for k in range(8):
        a, b, c = k & 1, (k >> 1) & 1, k >> 2
        weight = (fx if a else 1 - fx) * (fy if b else 1 - fy) * (fz if c else 1 - fz)
        total += weight * cell_hash(ix + a, iy + b, iz + c)
    return 2.0 * total - 1.0


@njit(cache=True)
def fbm(x, y, z, octaves):
    """Sum of octaves of noise, each of half the size and strength."""
    total, strength = 0.0, 0.5
    for _ in range(octaves):
        total += strength * noise(x, y, z)
        x, y, z, strength = 2.03 * x + 7.1, 2.03 * y + 3.7, 2.03 * z + 1.3, 0.5 * strength
    return total


@njit(cache=True)
def lappet(u, v, count, width):
    """A row of pointed petals standing in v 0..1: (distance inside the outline, offset across)."""
    c = fract(u * count) - 0.5
    y = min(max(v, 0.0), 1.0)
    reach = width * (1.0 - y * y) ** 0.8
    return reach - abs(c), c


_GLYPHS = {
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "C": "01111 10000 10000 10000 10000 10000 01111",
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "F": "11111 10000 10000 11110 10000 10000 10000",
    "G": "01111 10000 10000 10011 10001 10001 01111",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "N": "10001 11001 10101 10101 10011 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "U": "10001 10001 10001 10001 10001 10001 01110",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}


def _lettering(words: list[str]) -> np.ndarray:
    """[W, 9, L] 0/1 bitmap of each word in capitals five wide and seven high, padded to one length."""
    width = max(6 * len(word) + 1 for word in words)
    bitmap = np.zeros((len(words), 9, width))
    for row, word in enumerate(words):
        start = (width - 6 * len(word) + 1) // 2
        for column, letter in enumerate(word):
            glyph = np.array([[int(bit) for bit in line] for line in _GLYPHS[letter].split()])
            x = start + 6 * column
            bitmap[row, 1:8, x : x + 5] = glyph
    return bitmap


TITLES = _lettering(["LIGHT FIELDS", "GAUSS", "ON SPLATS", "OPTICS"])


@njit(cache=True)
def lettered(word, x, y):
    """Ink at x, y in [0, 1] of the box that holds a title; y runs down the letters. Bilinear."""
    rows, columns = TITLES.shape[1], TITLES.shape[2]
    fx, fy = x * columns - 0.5, y * rows - 0.5
    if fx < 0.0 or fy < 0.0 or fx >= columns - 1 or fy >= rows - 1:
        return 0.0
    i, j = int(fy), int(fx)
    a, b = fy - i, fx - j
    top = TITLES[word, i, j] * (1 - b) + TITLES[word, i, j + 1] * b
    low = TITLES[word, i + 1, j] * (1 - b) + TITLES[word, i + 1, j + 1] * b
    return smooth(0.3, 0.7, top * (1 - a) + low * a)
