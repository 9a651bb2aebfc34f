"""What shines: a window of six panes, and the walls of a softly lit round room whose floor runs into them."""

import numpy as np
from numba import njit

from .patterns import linear, smooth

FLOOR_Z = -1.2
"""World height of the floor: the plinth stands on it."""
ROOM_RADIUS = 5.0
"""The room is a sphere about the origin: near enough for its points to have parallax."""
_FLOOR_FADES = (1.5, 3.6)  # radii between which the lit floor turns into the wall's own glow

_AZIMUTH, _DISTANCE, _HEIGHT = np.radians(128.0), 2.9, 2.5
_CENTRE = np.array([_DISTANCE * np.cos(_AZIMUTH), _DISTANCE * np.sin(_AZIMUTH), _HEIGHT])
_NORMAL = -(_CENTRE - [0, 0, 0.1]) / np.linalg.norm(_CENTRE - [0, 0, 0.1])
_SIDE = np.cross([0.0, 0.0, 1.0], _NORMAL)
_SIDE = _SIDE / np.linalg.norm(_SIDE)
_UP = np.cross(_NORMAL, _SIDE)
_HALF_WIDE, _HALF_TALL = 0.85, 1.05
_COLUMNS, _ROWS = 2, 3
_GLASS = 0.86  # part of a pane's width and height that is glass; the rest is frame
_GLOW = (27.0, 23.8, 19.4)
AREA = 4.0 * _HALF_WIDE * _HALF_TALL * _GLASS * _GLASS
"""Area of the window's glass, square units."""

_LOW = linear("aab0a6")
_HIGH = linear("667a82")
_WARM = linear("d8c6a8")


@njit(cache=True)
def window_point(a, b):
    """A point on the glass, evenly spread, from two numbers in [0, 1)."""
    x, y = a * _COLUMNS, b * _ROWS
    x = (np.floor(x) + 0.5 + (x - np.floor(x) - 0.5) * _GLASS) / _COLUMNS * 2.0 - 1.0
    y = (np.floor(y) + 0.5 + (y - np.floor(y) - 0.5) * _GLASS) / _ROWS * 2.0 - 1.0
    x, y = x * _HALF_WIDE, y * _HALF_TALL
    return (
        _CENTRE[0] + x * _SIDE[0] + y * _UP[0],
        _CENTRE[1] + x * _SIDE[1] + y * _UP[1],
        _CENTRE[2] + x * _SIDE[2] + y * _UP[2],
    )


@njit(cache=True)
def window_cosine(dx, dy, dz):
    """Cosine between the window's normal and a direction towards the window; negative from behind."""
    return -(dx * _NORMAL[0] + dy * _NORMAL[1] + dz * _NORMAL[2])


@njit(cache=True)
def window_hit(ox, oy, oz, dx, dy, dz):
    """Distance to the glass along a direction, 1e30 when it is missed or seen from behind."""
    cosine = window_cosine(dx, dy, dz)
    if cosine < 1e-4:
        return 1e30
    qx, qy, qz = _CENTRE[0] - ox, _CENTRE[1] - oy, _CENTRE[2] - oz
    t = -(qx * _NORMAL[0] + qy * _NORMAL[1] + qz * _NORMAL[2]) / cosine
    if t <= 0.0:
        return 1e30
    px, py, pz = dx * t - qx, dy * t - qy, dz * t - qz
    x = ((px * _SIDE[0] + py * _SIDE[1] + pz * _SIDE[2]) / _HALF_WIDE * 0.5 + 0.5) * _COLUMNS
    y = ((px * _UP[0] + py * _UP[1] + pz * _UP[2]) / _HALF_TALL * 0.5 + 0.5) * _ROWS
    if x < 0.0 or y < 0.0 or x > _COLUMNS or y > _ROWS:
        return 1e30
    if abs(x - np.floor(x) - 0.5) > _GLASS / 2 or abs(y - np.floor(y) - 0.5) > _GLASS / 2:
        return 1e30
    return t


@njit(cache=True)
def window_glow():
    """Radiance of the glass."""
    return _GLOW


@njit(cache=True)
def room_hit(ox, oy, oz, dx, dy, dz):
    """Distance to floor or wall, from inside, and whether it is the floor."""
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - ROOM_RADIUS * ROOM_RADIUS
    wall = -b + np.sqrt(max(b * b - c, 0.0))
    if dz < 0.0:
        floor = (FLOOR_Z - oz) / dz
        if 0.0 < floor < wall:
            return floor, True
    return wall, False


@njit(cache=True)
def room_glow(x, y, z):
    """Radiance of the wall at a place: graded upwards, warmer and brighter towards the window's side."""
    r = np.sqrt(x * x + y * y + z * z)
    up = z / r
    t = smooth(-0.3, 0.75, up)
    towards = (x * _CENTRE[0] + y * _CENTRE[1]) / (_DISTANCE * r)
    bright = 0.86 + 0.2 * towards
    # A broad pale patch high opposite the window, as a reflector would give: it fills the shadows.
    away = smooth(0.85, 1.0, 0.77 * up - 0.64 * towards)
    fill = 2.4 * away
    return (
        bright * (_LOW[0] + (_HIGH[0] - _LOW[0]) * t) + fill * _WARM[0],
        bright * (_LOW[1] + (_HIGH[1] - _LOW[1]) * t) + fill * _WARM[1],
        bright * (_LOW[2] + (_HIGH[2] - _LOW[2]) * t) + fill * _WARM[2],
    )


@njit(cache=True)
def floor_share(x, y):
    """How much of the floor at x, y is lit floor; the rest glows as the wall does."""
    return smooth(_FLOOR_FADES[1], _FLOOR_FADES[0], np.sqrt(x * x + y * y))
