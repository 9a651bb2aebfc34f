"""Material ids and the colours of the still life."""

from .patterns import linear

(
    TABLE_TOP,
    PLINTH,
    KILIM,
    FRINGE,
    VASE,
    GLAZE_WHITE,
    TEAPOT,
    CUP,
    BRASS,
    BRASS_RING,
    ENAMEL,
    WICKER,
    LEMON,
    LEAF,
    BARK,
    BLOSSOM,
    BUD,
    BOOK_RED,
    BOOK_GREEN,
    BOOK_BLUE,
    PAGES,
    SPINE_RED,
    SPINE_GREEN,
    SPINE_BLUE,
    WIRE,
    TEA,
    FLOOR,
    STAMEN,
    PENCIL,
) = range(29)

COBALT = linear("1c3f94")
COBALT_WASH = linear("6f8fd0")
PORCELAIN = linear("eeeae0")
CELADON = linear("2f7f78")
CELADON_DEEP = linear("0f3f42")
IRON_BROWN = linear("6b4526")
BRASS_TINT = linear("e6bd6a")
WALNUT = linear("7a4e31")
WALNUT_DARK = linear("3f2618")
MAPLE = linear("d9b98a")
EBONY = linear("2a1d17")
PLASTER = linear("cfc4b2")
RUST = linear("b2472c")
INDIGO = linear("27395f")
CREAM = linear("eadfc6")
OCHRE = linear("d59a3a")
TEAL = linear("3f7a78")
WILLOW = linear("c69a5e")
WILLOW_DARK = linear("7d5229")
LEMON_YELLOW = linear("e9b824")
LEMON_GREEN = linear("b9b83a")
LEAF_TOP = linear("4f7d3a")
LEAF_PALE = linear("93b06a")
BARK_BROWN = linear("4a3428")
PETAL = linear("fce9e8")
PETAL_HEART = linear("d4607c")
GOLD = linear("e8c067")
BOOK_RED_CLOTH = linear("8e2f33")
BOOK_GREEN_CLOTH = linear("2f5a44")
BOOK_BLUE_CLOTH = linear("2c4a77")
PAPER = linear("e9dec4")
FLOOR_GREY = linear("a9a89a")

_WHITE = (0.8, 0.8, 0.8)
PLAIN = tuple(
    {GLAZE_WHITE: PORCELAIN, TEA: linear("5b2a12"), BUD: linear("c65a74"), STAMEN: linear("e8b93c")}.get(
        i, _WHITE
    )
    for i in range(29)
)
"""Colour of each material that has one colour only."""
