"""From a material id and a place on a surface to its optical properties."""

from numba import njit

from . import palette as is_
from .paint_ceramic import celadon, cup, enamel, vase
from .paint_table import fringe, kilim, plinth, table_top, wicker
from .paint_things import bark, blossom, brass, brass_ring, cover, leaf, lemon, pages, pencil, spine, wire
from .patterns import fbm, scaled


@njit(cache=True)
def surface(material, u, v, x, y, z):
    """(colour, roughness, metal, reflectance at normal, transmission, bump height, bump frequency) at a hit.

    u, v are the shape's coordinates; x, y, z the place on the table (its top is z = 0).
    """
    if material == is_.TABLE_TOP:
        return table_top(x, y, z)
    if material == is_.PLINTH:
        return plinth(x, y, z)
    if material == is_.KILIM:
        return kilim(u, v, x, y, z)
    if material == is_.FRINGE:
        return fringe(u, v)
    if material == is_.VASE:
        return vase(u, v, x, y, z)
    if material == is_.TEAPOT:
        return celadon(u, v, x, y, z)
    if material == is_.CUP:
        return cup(u, v, x, y, z)
    if material == is_.BRASS:
        return brass(u, v, x, y, z)
    if material == is_.BRASS_RING:
        return brass_ring(u, v, x, y, z)
    if material == is_.ENAMEL:
        return enamel(u, v, x, y, z)
    if material == is_.WICKER:
        return wicker(u, v, x, y, z)
    if material == is_.LEMON:
        return lemon(u, v, x, y, z)
    if material == is_.LEAF:
        return leaf(u, v, x, y, z)
    if material == is_.BARK:
        return bark(u, v, x, y, z)
    if material == is_.BLOSSOM:
        return blossom(u, v, x, y, z)
    if is_.BOOK_RED <= material <= is_.BOOK_BLUE:
        return cover(material - is_.BOOK_RED, u, v, x, y, z)
    if is_.SPINE_RED <= material <= is_.SPINE_BLUE:
        return spine(material - is_.SPINE_RED, u, v, x, y, z)
    if material == is_.PAGES:
        return pages(x, y, z)
    if material == is_.WIRE:
        return wire(x, y, z)
    if material == is_.PENCIL:
        return pencil(u, v, x, y, z)
    if material == is_.FLOOR:
        return (
            scaled(is_.FLOOR_GREY, 0.95 + 0.1 * fbm(x * 1.5, y * 1.5, 0.0, 3)),
            0.9,
            0.0,
            0.02,
            0.0,
            0.0,
            1.0,
        )
    return is_.PLAIN[material], 0.35, 0.0, 0.045, 0.0, 0.0, 1.0
