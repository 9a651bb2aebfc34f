"""The path tracer: what each pixel of a camera sees, in separate layers."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit

from . import light
from .bvh import STACK, Tree, trace
from .hits import bumped, meet
from .materials import surface
from .palette import FLOOR
from .sampling import mixed, pair
from .scatter import cosine_direction, fresnel, gloss, gloss_towards
from .still_life import TABLE_HEIGHT

LAYERS = 13
_DIFFUSE, _GLOSS, _ALBEDO, _NORMAL, _DEPTH = 0, 3, 6, 9, 12
_BOUNCES = 5
_BRIGHTEST = 3.0  # of what one path brings after a bounce; rarer, brighter ones would be specks
_LIFT = 1e-4  # off the surface, so that a ray does not meet the surface it leaves
_ALONE = 1e30  # density of camera rays: no shadow ray could have found what they see
_FILTER_SIGMA = 0.42  # pixels: a Gaussian pixel filter, sampled, so that pixels stay independent


class Layers(NamedTuple):
    """What a camera sees, [H, W, ...] float32, linear light.

    Attributes:
        diffuse: [H, W, 3] light that left the first surface by its diffuse part, albedo included.
        glossy: [H, W, 3] all other light.
        albedo: [H, W, 3] diffuse reflectance of the first surface.
        normal: [H, W, 3] its mean normal.
        depth: [H, W] its mean distance.
    """

    diffuse: np.ndarray
    glossy: np.ndarray
    albedo: np.ndarray
    normal: np.ndarray
    depth: np.ndarray


def render(
    tree: Tree, camera: np.ndarray, focal: float, size: tuple[int, int], samples: int, seed: int
) -> Layers:
    """Trace `samples` paths per pixel.

    Args:
        camera: [4, 4] camera to world, OpenGL axes (x right, y up, looking along -z).
        focal: in pixels; the principal point is the image's middle.
        size: width, height.
    """
    width, height = size
    out = np.zeros((height, width, LAYERS), np.float32)
    pose = np.ascontiguousarray(camera, dtype=np.float64)
    with ThreadPoolExecutor() as pool:  # the kernel lets go of the interpreter lock
        rows = [
            pool.submit(_render_row, tree, pose, float(focal), samples, seed, k, out) for k in range(height)
        ]
        for row in rows:
            row.result()
    return Layers(
        out[..., _DIFFUSE : _DIFFUSE + 3],
        out[..., _GLOSS : _GLOSS + 3],
        out[..., _ALBEDO : _ALBEDO + 3],
        out[..., _NORMAL : _NORMAL + 3],
        out[..., _DEPTH],
    )


@njit(cache=True)
def _add(out, layer, ray, r, g, b, bounce):
    """Add light that came back along a path to a layer; after a bounce, dim what is too bright, hue kept."""
    r, g, b = r * ray[6], g * ray[7], b * ray[8]
    peak = max(r, g, b)
    if bounce > 0 and peak > _BRIGHTEST:
        scale = _BRIGHTEST / peak
        r, g, b = r * scale, g * scale, b * scale
    out[layer] += r
    out[layer + 1] += g
    out[layer + 2] += b


@njit(cache=True)
def _see_window(ray, distance, layer, bounce, out):
    """The path ended on the glass; a shadow ray could have found it too: share by density (Veach 1995)."""
    density = ray[9]
    if density > 0.0:
        facing = light.window_cosine(ray[3], ray[4], ray[5])
        share = density / (density + distance * distance / (facing * light.AREA))
        r, g, b = light.window_glow()
        _add(out, layer, ray, r * share, g * share, b * share, bounce)


@njit(cache=True)
def _see_room(ray, px, py, pz, is_floor, layer, bounce, out):
    """Add the wall's glow and keep in the ray what goes on to the lit floor."""
    lit = light.floor_share(px, py) if is_floor else 0.0
    if lit < 1.0:
        r, g, b = light.room_glow(px, py, pz)
        _add(out, layer, ray, r * (1 - lit), g * (1 - lit), b * (1 - lit), bounce)
    ray[6:9] *= lit
    return lit


@njit(cache=True)
def _ask_window(tree, stack, ray, p, n, look, chance, diffused, a, b, layer, bounce, out):
    """Light straight from the window: one shadow ray, sent on by the diffuse part and by the gloss."""
    lx, ly, lz = light.window_point(a, b)
    lx, ly, lz = lx - p[0], ly - p[1], lz - p[2]
    d = np.sqrt(lx * lx + ly * ly + lz * lz)
    lx, ly, lz = lx / d, ly / d, lz / d
    outward = light.window_cosine(lx, ly, lz)
    cosine = n[0] * lx + n[1] * ly + n[2] * lz
    colour, rough, metal, reflect, through = look
    share = 1.0 - through if cosine > 0.0 else through
    if outward <= 1e-4 or share <= 0.0:
        return
    if trace(tree, stack, p[0], p[1], p[2], lx, ly, lz, d - 1e-3, True)[1] >= 0:
        return
    density = d * d / (outward * light.AREA)
    r, g, b = light.window_glow()
    share *= (1.0 - metal) * (1.0 - reflect) * abs(cosine) / (np.pi * density)
    into = _DIFFUSE if bounce == 0 else layer
    _add(out, into, ray, share * colour[0] * r, share * colour[1] * g, share * colour[2] * b, bounce)
    sent, weight, facet = gloss_towards(ray[3], ray[4], ray[5], n[0], n[1], n[2], lx, ly, lz, rough)
    if sent > 0.0 and not diffused:
        share = sent * weight / (density + chance * sent)
        coat = (1.0 - metal) * reflect
        r *= share * (coat + metal * fresnel(colour[0], facet))
        g *= share * (coat + metal * fresnel(colour[1], facet))
        b *= share * (coat + metal * fresnel(colour[2], facet))
        _add(out, layer, ray, r, g, b, bounce)


@njit(cache=True)
def _chance_of_gloss(colour, rough, metal, reflect, bounce):
    """Probability of following the gloss rather than the diffuse part."""
    if metal >= 1.0:
        return 1.0
    # The first surface's gloss is what the eye sees: it gets its share of paths even where weak.
    least = 0.3 if bounce == 0 and rough < 0.5 else 0.08
    body = (1.0 - reflect) * max(colour[0], colour[1], colour[2])
    return metal + (1.0 - metal) * min(max(reflect / (reflect + 0.7 * body), least), 0.6)


@njit(cache=True)
def _go_on(ray, p, g, n, look, chance, diffused, a, b, choice):
    """Turn the ray into its continuation: 0 when it ends, 1 by gloss, 2 by the diffuse part."""
    colour, rough, metal, reflect, through = look
    if choice < chance:
        dx, dy, dz, weight, facet, sent = gloss(ray[3], ray[4], ray[5], n[0], n[1], n[2], rough, a, b)
        if weight <= 0.0 or dx * g[0] + dy * g[1] + dz * g[2] <= 0.0:
            return 0
        for k in range(3):
            ray[k] = p[k]
            tint = (1.0 - metal) * reflect + metal * fresnel(colour[k], facet)
            ray[6 + k] *= tint * weight / chance
        ray[3], ray[4], ray[5] = dx, dy, dz
        # Glints after a diffuse bounce would be caustics, which come out as specks: they are left out.
        ray[9] = 0.0 if diffused else sent * chance
        return 1
    dx, dy, dz = cosine_direction(n[0], n[1], n[2], a, b)
    side = 1.0
    if (choice - chance) / (1.0 - chance) < through:
        side = -1.0
    ray[3], ray[4], ray[5] = side * dx, side * dy, side * dz
    for k in range(3):
        ray[k] = p[k] + min(side, 0.0) * 2.0 * _LIFT * g[k]
        ray[6 + k] *= (1.0 - metal) * (1.0 - reflect) * colour[k] / (1.0 - chance)
    ray[9] = 0.0
    return 2


@njit(cache=True)
def _note_first(out, g, t, body, colour):
    """Note the first surface's normal, distance and albedo: the noise filter's guides."""
    for k in range(3):
        out[_NORMAL + k] += g[k]
        out[_ALBEDO + k] += body * colour[k]
    out[_DEPTH] += t


@njit(cache=True)
def _path(tree, stack, ray, index, seed, out):
    """Follow one path and add what it carries to the pixel's layers.

    `ray` is origin, direction, throughput (3 each) and the density with which gloss chose the direction.
    """
    layer, diffused = _GLOSS, False
    for bounce in range(_BOUNCES):
        ox, oy, oz, dx, dy, dz = ray[0], ray[1], ray[2], ray[3], ray[4], ray[5]
        room, is_floor = light.room_hit(ox, oy, oz, dx, dy, dz)
        t, shape, u, v = trace(tree, stack, ox, oy, oz, dx, dy, dz, room, False)
        glass = light.window_hit(ox, oy, oz, dx, dy, dz)
        if glass < t:
            _see_window(ray, glass, layer, bounce, out)
            return
        px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
        g, n, material, lit = (0.0, 0.0, 1.0), (0.0, 0.0, 1.0), FLOOR, 1.0
        if shape >= 0:
            g, n, u, v, material = meet(tree.shapes, shape, u, v, px, py, pz, dx, dy, dz)
        else:
            lit = _see_room(ray, px, py, pz, is_floor, layer, bounce, out)
        if lit <= 0.0:
            if bounce == 0:
                _note_first(out, (-dx, -dy, -dz), t, 0.0, g)
            return
        colour, rough, metal, f0, through, bump, fine = surface(material, u, v, px, py, pz - TABLE_HEIGHT)
        if bounce == 0:
            _note_first(out, g, t, 1.0 - metal, colour)
        if bump > 0.0:
            n = bumped(n, px, py, pz, bump, fine)
        reflect = fresnel(f0, max(-(n[0] * dx + n[1] * dy + n[2] * dz), 0.0)) * (1.0 - 0.6 * rough)
        p = (px + _LIFT * g[0], py + _LIFT * g[1], pz + _LIFT * g[2])
        look = (colour, rough, metal, reflect, through)
        chance = _chance_of_gloss(colour, rough, metal, reflect, bounce)
        key = mixed(seed, bounce)
        a, b = pair(index, mixed(key, 1))
        _ask_window(tree, stack, ray, p, n, look, chance, diffused, a, b, layer, bounce, out)
        a, b = pair(index, mixed(key, 2))
        choice, fate = pair(index, mixed(key, 3))
        way = _go_on(ray, p, g, n, look, chance, diffused, a, b, choice)
        if way == 0:
            return
        diffused = diffused or way == 2
        if bounce == 0 and way == 2:
            layer = _DIFFUSE
        if bounce > 0:
            survive = min(max(ray[6], ray[7], ray[8]), 0.95)
            if fate >= survive:
                return
            ray[6:9] /= survive


@njit(cache=True, nogil=True)
def _render_row(tree, camera, focal, samples, seed, row, out):
    height, width = out.shape[0], out.shape[1]
    stack = np.empty(STACK, np.int32)
    pixel, ray = np.zeros(LAYERS), np.empty(10)
    for column in range(width):
        pixel[:] = 0.0
        key = mixed(mixed(seed, row), column)
        for index in range(samples):
            a, b = pair(index, mixed(key, 77))
            r = _FILTER_SIGMA * np.sqrt(-2.0 * np.log(max(1.0 - a, 1e-4)))
            x = (column + 0.5 + r * np.cos(2 * np.pi * b) - 0.5 * width) / focal
            y = -(row + 0.5 + r * np.sin(2 * np.pi * b) - 0.5 * height) / focal
            scale = 1.0 / np.sqrt(x * x + y * y + 1.0)
            x, y, z = x * scale, y * scale, -scale
            dx = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z
            dy = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z
            dz = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z
            ray[0], ray[1], ray[2] = camera[0, 3], camera[1, 3], camera[2, 3]
            ray[3], ray[4], ray[5] = dx, dy, dz
            ray[6:9] = 1.0
            ray[9] = _ALONE
            _path(tree, stack, ray, index, key, pixel)
        for k in range(LAYERS):
            out[row, column, k] = pixel[k] / samples
