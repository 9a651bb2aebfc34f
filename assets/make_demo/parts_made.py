"""Things made by hand: pottery, brass, books, basketwork, the table and its runner. Each stands on z = 0."""

import itertools

import numpy as np

from . import palette as is_
from .geometry import Modeller, facing, frame, rotation_z, smooth_curve
from .paint_table import KILIM_LENGTH, KILIM_WIDTH, TOP_RADIUS

FLOOR_HEIGHT = -0.85
"""Where the plinth meets the floor, below the table top."""


def ring(count: int, radius: float, height: float = 0.0) -> np.ndarray:
    """[count, 3] a closed horizontal circle (the last point is the first)."""
    angle = np.linspace(0.0, 2 * np.pi, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(count, height)], axis=1)


def table(model: Modeller) -> None:
    """A round veneered top on a drum of reeds."""
    bend = np.linspace(np.pi / 2, -np.pi / 2, 9)
    edge = np.stack([TOP_RADIUS + 0.02 * np.cos(bend), -0.02 + 0.02 * np.sin(bend)], axis=1)
    top = np.stack([np.linspace(0.0, TOP_RADIUS, 12), np.zeros(12)], axis=1)
    model.revolve(top, is_.TABLE_TOP, segments=160)
    model.revolve(edge, is_.TABLE_TOP, segments=160)
    model.revolve(np.array([[TOP_RADIUS, -0.04], [0.9, -0.04]]), is_.TABLE_TOP, segments=160)
    reeds, detail = 100, 10
    angle = np.linspace(0.0, 2 * np.pi, reeds * detail + 1)
    radius = 0.945 + 0.026 * np.sqrt(np.abs(np.sin(reeds * angle / 2)))
    height = np.array([-0.04, -0.4, FLOOR_HEIGHT])[:, None]
    points = np.stack(
        [radius * np.cos(angle) + 0 * height, radius * np.sin(angle) + 0 * height, 0 * radius + height], 2
    )
    model.sheet(points, np.zeros((*points.shape[:2], 2)), is_.PLINTH)


def kilim(model: Modeller, yaw: float, rng: np.random.Generator) -> None:
    """A runner across the table whose ends hang over the edge, with a fringe."""
    s = np.linspace(-KILIM_LENGTH / 2, KILIM_LENGTH / 2, 220)[:, None]
    t = np.linspace(-KILIM_WIDTH / 2, KILIM_WIDTH / 2, 48)[None, :]
    edge = np.sqrt((TOP_RADIUS + 0.005) ** 2 - t**2)
    bend = 0.03
    over = np.abs(s) - edge
    angle = np.clip(over / bend, 0.0, np.pi / 2)
    drop = np.maximum(over - bend * np.pi / 2, 0.0)
    wave = 0.012 * np.sin(t * 26.0 + 1.3 * np.sign(s)) * np.clip(drop / 0.2, 0.0, 1.0)
    x = np.sign(s) * (np.minimum(np.abs(s), edge) + bend * np.sin(angle) + wave + 0.04 * drop)
    z = 0.006 - bend * (1 - np.cos(angle)) - drop
    points = np.stack([x, t + 0 * s, z], axis=2)
    uv = np.stack([s / KILIM_LENGTH + 0.5 + 0 * t, t / KILIM_WIDTH + 0.5 + 0 * s], axis=2)
    turn = frame(rotation_z(yaw))

    def laid(inner: Modeller) -> None:
        inner.sheet(points, uv, is_.KILIM)
        for end in (0, -1):
            for at in np.linspace(0.02, 0.98, 60):
                root = np.array([np.interp(at, uv[end, :, 1], points[end, :, k]) for k in range(3)])
                sway = rng.normal(0.0, 0.006, 3) - np.array([0.0, 0.0, 0.075])
                curl = rng.normal(0.0, 0.004, 3)
                strand = [root, root + 0.5 * sway + curl, root + sway]
                inner.chain(smooth_curve(np.array(strand), 5), 0.0032, is_.FRINGE, v=float(rng.random()))

    model.placed(turn, laid)


def vase(model: Modeller) -> None:
    """A bottle vase 0.5 tall, painted outside."""
    outline = [
        (0.088, 0.0),
        (0.09, 0.012),
        (0.1, 0.03),
        (0.145, 0.1),
        (0.172, 0.18),
        (0.172, 0.24),
        (0.14, 0.31),
    ]
    outline += [(0.09, 0.36), (0.064, 0.41), (0.06, 0.45), (0.072, 0.49), (0.086, 0.503)]
    model.revolve(smooth_curve(outline, 90), is_.VASE, segments=128)
    inside = [(0.086, 0.503), (0.082, 0.506), (0.076, 0.5), (0.056, 0.45), (0.05, 0.38), (0.0, 0.37)]
    model.revolve(smooth_curve(inside, 24), is_.GLAZE_WHITE)
    model.revolve(np.array([[0.0, 0.002], [0.088, 0.0]]), is_.GLAZE_WHITE)


def teapot(model: Modeller) -> None:
    """A squat pot with a lid, a spout along +x and a cane handle arched over it."""
    outline = [
        (0.09, 0.0),
        (0.1, 0.008),
        (0.15, 0.05),
        (0.178, 0.11),
        (0.16, 0.175),
        (0.11, 0.21),
        (0.098, 0.214),
    ]
    model.revolve(smooth_curve(outline, 60), is_.TEAPOT)
    lid = [
        (0.104, 0.214),
        (0.1, 0.224),
        (0.06, 0.243),
        (0.02, 0.252),
        (0.014, 0.262),
        (0.026, 0.278),
        (0.02, 0.295),
    ]
    model.revolve(smooth_curve([*lid, (0.0, 0.3)], 48), is_.TEAPOT, segments=64)
    spout = smooth_curve(
        [(0.14, 0, 0.075), (0.2, 0, 0.095), (0.235, 0, 0.15), (0.275, 0, 0.2), (0.29, 0, 0.212)], 32
    )
    width = np.interp(np.linspace(0, 1, 32), [0, 0.4, 0.9, 1.0], [0.05, 0.032, 0.019, 0.023])
    model.tube(spout, width, is_.TEAPOT, segments=28)
    arch = np.linspace(0.0, np.pi, 40)
    path = np.stack([0.135 * np.cos(arch), 0 * arch, 0.19 + 0.2 * np.sin(arch)], axis=1)
    model.chain(path, 0.0075, is_.BRASS)
    for turn in range(46):  # cane wound round the middle of the arch
        a = np.pi * (0.2 + 0.6 * turn / 45)
        tangent = np.array([-0.135 * np.sin(a), 0.0, 0.2 * np.cos(a)])
        centre = np.array([0.135 * np.cos(a), 0.0, 0.19 + 0.2 * np.sin(a)])
        loop = ring(9, 0.0125) @ facing(tangent).T + centre
        model.chain(loop, 0.0045, is_.WICKER, v=0.37 * turn)
    for side in (-1.0, 1.0):
        lug = ring(13, 0.017) @ facing(np.array([0.0, 1.0, 0.0])).T + [0.137 * side, 0.0, 0.19]
        model.chain(lug, 0.006, is_.BRASS)


def cup(model: Modeller) -> None:
    """A tea bowl with a handle, on a saucer."""
    saucer = [
        (0.0, 0.004),
        (0.05, 0.0),
        (0.07, 0.006),
        (0.105, 0.016),
        (0.128, 0.026),
        (0.13, 0.03),
        (0.12, 0.028),
    ]
    model.revolve(smooth_curve([*saucer, (0.08, 0.014), (0.0, 0.012)], 40), is_.CUP)
    wall = [(0.036, 0.012), (0.038, 0.022), (0.062, 0.045), (0.074, 0.08), (0.08, 0.112)]
    model.revolve(smooth_curve(wall, 40), is_.CUP)
    inside = [(0.08, 0.112), (0.077, 0.113), (0.07, 0.08), (0.05, 0.045), (0.0, 0.03)]
    model.revolve(smooth_curve(inside, 24), is_.GLAZE_WHITE)
    model.revolve(np.array([[0.0, 0.09], [0.073, 0.09]]), is_.TEA)
    handle = smooth_curve([(0.07, 0, 0.095), (0.115, 0, 0.1), (0.118, 0, 0.055), (0.058, 0, 0.04)], 28)
    model.tube(handle, 0.0075, is_.GLAZE_WHITE, segments=12)


def armillary(model: Modeller) -> None:
    """Nested graduated rings about a small globe, on a turned foot."""
    centre = np.array([0.0, 0.0, 0.42])

    def band(radius: float, wide: float, thick: float, rotation: np.ndarray, offset: float = 0.0) -> None:
        section = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]) / 2
        place = frame(rotation, centre + rotation @ [0.0, 0.0, offset])
        for a, b in itertools.pairwise(section):
            edge = np.linspace(a, b, 2) * [thick, wide] + [radius, 0.0]
            material = is_.BRASS_RING if a[0] == b[0] else is_.BRASS
            model.revolve(edge, material, place, segments=128)

    tilt = facing(np.array([0.5, 0.15, 0.85]))
    pole = tilt[:, 2]
    band(0.235, 0.034, 0.007, np.eye(3))
    band(0.226, 0.022, 0.007, facing(np.cross(pole, [0.0, 0.0, 1.0])))
    band(0.212, 0.026, 0.006, tilt)
    band(0.204, 0.04, 0.006, facing(np.array([0.12, 0.25, 0.95])))
    for latitude in (0.42, -0.42):
        band(0.212 * np.cos(latitude), 0.014, 0.006, tilt, 0.212 * np.sin(latitude))
    band(0.212, 0.012, 0.006, facing(np.cross(pole, [0.3, 1.0, 0.0])))
    model.chain(np.stack([centre - 0.245 * pole, centre + 0.245 * pole]), 0.006, is_.BRASS)
    arc = np.linspace(-np.pi / 2, np.pi / 2, 33)
    globe = np.stack([0.07 * np.cos(arc), 0.07 * np.sin(arc)], axis=1)
    model.revolve(globe, is_.ENAMEL, frame(tilt, centre), segments=64)
    foot = [
        (0.0, 0.0),
        (0.13, 0.0),
        (0.132, 0.016),
        (0.1, 0.03),
        (0.045, 0.045),
        (0.022, 0.075),
        (0.034, 0.1),
    ]
    foot += [(0.018, 0.125), (0.014, 0.15), (0.028, 0.17), (0.01, 0.185), (0.0, 0.19)]
    model.revolve(smooth_curve(foot, 80), is_.BRASS, segments=64)
    for k in range(4):
        a = np.pi / 4 + k * np.pi / 2
        arm = [(0.015, 0.165), (0.09, 0.15), (0.17, 0.22), (0.215, 0.34), (0.23, 0.405)]
        path = smooth_curve([(r * np.cos(a), r * np.sin(a), z) for r, z in arm], 24)
        model.chain(path, 0.0075, is_.BRASS)


def book(model: Modeller, which: int, width: float, length: float, thick: float) -> None:
    """A cloth-bound book lying flat; its spine faces -x."""
    board = 0.006
    for z in (board / 2, thick - board / 2):
        model.box(np.array([0.0, 0.0, z]), np.array([width, length, board]), is_.BOOK_RED + which)
    block = np.array([width - 0.018, length - 0.024, thick - 2 * board])
    model.box(np.array([-0.004, 0.0, thick / 2]), block, is_.PAGES)
    bow = np.linspace(0.0, np.pi, 15)[:, None]
    along = np.linspace(1.0, 0.0, 9)[None, :]
    x = -width / 2 - 0.014 * np.sin(bow) + 0 * along
    z = thick / 2 + thick / 2 * np.cos(bow) + 0 * along
    points = np.stack([x, (along - 0.5) * length + 0 * bow, z], axis=2)
    uv = np.stack([bow / np.pi + 0 * along, 1.0 - along + 0 * bow], axis=2)
    model.sheet(points, uv, is_.SPINE_RED + which)


def spectacles(model: Modeller) -> None:
    """Round wire spectacles, open, lying on their temples."""
    for side in (-1.0, 1.0):
        eye = ring(29, 0.052) @ facing(np.array([0.0, 1.0, 0.12])).T + [0.068 * side, 0.0, 0.056]
        model.chain(eye, 0.0042, is_.WIRE)
        temple = [(0.122 * side, 0, 0.066), (0.128 * side, 0.06, 0.058), (0.12 * side, 0.17, 0.034)]
        model.chain(smooth_curve([*temple, (0.11 * side, 0.205, 0.004)], 16), 0.0038, is_.WIRE)
    bridge = smooth_curve([(-0.018, 0, 0.064), (0, -0.004, 0.077), (0.018, 0, 0.064)], 9)
    model.chain(bridge, 0.0042, is_.WIRE)


def basket(model: Modeller) -> None:
    """Willow: stakes, one weaver that spirals up between them, a plaited rim and a twisted handle."""
    stakes, turns, tall = 29, 13, 0.19

    def radius(z: np.ndarray | float) -> np.ndarray | float:
        return 0.165 + 0.075 * np.sin(np.clip(np.asarray(z) / tall, 0, 1) * 1.35)

    heights = np.linspace(0.0, tall + 0.008, 9)
    for k in range(stakes):
        a = 2 * np.pi * k / stakes
        path = np.stack([radius(heights) * np.cos(a), radius(heights) * np.sin(a), heights], axis=1)
        model.chain(path, 0.0055, is_.WICKER, v=k * 0.71)
    per_turn = stakes * 4
    for turn in range(turns):  # an odd number of stakes: each turn passes where the last one did not
        a = np.linspace(2 * np.pi * turn, 2 * np.pi * (turn + 1), per_turn + 1)
        z = 0.008 + (tall - 0.008) * a / (2 * np.pi * turns)
        r = radius(z) + 0.0085 * np.cos(stakes * a / 2)
        model.chain(np.stack([r * np.cos(a), r * np.sin(a), z], axis=1), 0.0066, is_.WICKER, v=turn * 0.53)
    model.revolve(np.array([[0.0, 0.008], [0.165, 0.008]]), is_.WICKER)
    a = np.linspace(0.0, 2 * np.pi, 241)
    rim = float(radius(tall))
    for strand in range(3):
        phase = 20 * a + strand * 2 * np.pi / 3
        r = rim + 0.009 * np.cos(phase)
        path = np.stack([r * np.cos(a), r * np.sin(a), tall + 0.012 + 0.009 * np.sin(phase)], axis=1)
        model.chain(path, 0.0068, is_.WICKER, v=strand * 0.29)
    b = np.linspace(0.0, np.pi, 90)
    for strand in range(2):
        phase = 14 * b + strand * np.pi
        r = rim + 0.008 * np.cos(phase)
        path = np.stack([r * np.cos(b), 0.008 * np.sin(phase), tall + (r + 0.04) * np.sin(b)], axis=1)
        model.chain(path, 0.0072, is_.WICKER, v=0.4 + strand * 0.33)


def pencil(model: Modeller) -> None:
    """A hexagonal pencil along +x, sharpened."""
    path = np.stack([np.linspace(0.0, 0.3, 61), np.zeros(61), np.full(61, 0.0095)], axis=1)
    radii = np.interp(path[:, 0], [0.0, 0.034, 0.3], [0.0008, 0.0095, 0.0095])
    model.tube(path, radii, is_.PENCIL, segments=6)
