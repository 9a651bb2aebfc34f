"""Colours, spacing and fonts. One accent, greys for the rest; images are the only thing that is colourful."""

from pathlib import Path

import dearpygui.dearpygui as dpg

from app.containers import inside

FONTS = Path(__file__).resolve().parents[1] / "assets" / "fonts"
FONT_SIZE = 15  # px at scale 1

INK, FAINT, DIM = (228, 228, 231), (161, 161, 170), (113, 113, 122)
BACK, PANEL, FIELD, LINE = (17, 17, 19), (24, 24, 27), (39, 39, 42), (52, 52, 58)
HOVER, ACTIVE = (58, 58, 64), (74, 74, 82)
ACCENT, ACCENT_HOVER, ACCENT_ACTIVE = (37, 99, 235), (59, 120, 246), (29, 78, 216)
CHOSEN = (38, 56, 96)
GOOD, BAD, WARM = (74, 222, 128), (248, 113, 113), (251, 191, 36)
SERIES = (
    (96, 165, 250),
    (251, 191, 36),
    (74, 222, 128),
    (244, 114, 182),
    (45, 212, 191),
    (192, 132, 252),
    (251, 146, 60),
    (163, 230, 53),
)
"""Colours of the curves, apart from one another for the colour-blind, too, by their lightness."""

_COLOURS = {
    "Text": INK,
    "TextDisabled": DIM,
    "WindowBg": PANEL,
    "ChildBg": (0, 0, 0, 0),  # what lies behind has the colour: to paint pixels twice costs a core's time
    "PopupBg": (30, 30, 34),
    "Border": LINE,
    "FrameBg": FIELD,
    "FrameBgHovered": HOVER,
    "FrameBgActive": ACTIVE,
    "TitleBg": PANEL,
    "TitleBgActive": (32, 32, 36),
    "TitleBgCollapsed": PANEL,
    "MenuBarBg": PANEL,
    "ScrollbarBg": PANEL,
    "ScrollbarGrab": HOVER,
    "ScrollbarGrabHovered": ACTIVE,
    "ScrollbarGrabActive": ACTIVE,
    "CheckMark": (147, 197, 253),
    "SliderGrab": (96, 125, 190),
    "SliderGrabActive": ACCENT_HOVER,
    "Button": FIELD,
    "ButtonHovered": HOVER,
    "ButtonActive": ACTIVE,
    "Header": FIELD,
    "HeaderHovered": HOVER,
    "HeaderActive": ACTIVE,
    "Separator": LINE,
    "Tab": PANEL,
    "TabHovered": HOVER,
    "TabSelected": FIELD,
    "TabSelectedOverline": ACCENT,
    "TabDimmed": PANEL,
    "TabDimmedSelected": FIELD,
    "PlotHistogram": ACCENT,
    "TextSelectedBg": ACCENT_ACTIVE,
    "ModalWindowDimBg": (0, 0, 0, 150),
    "NavCursor": ACCENT,
    "TableBorderLight": LINE,
    "TableBorderStrong": LINE,
    "TableHeaderBg": PANEL,
    "TableRowBg": (0, 0, 0, 0),
}
_PLOT_COLOURS = {
    "FrameBg": (0, 0, 0, 0),
    "PlotBg": BACK,
    "PlotBorder": LINE,
    "LegendBg": (24, 24, 27, 200),
    "LegendBorder": LINE,
    "LegendText": FAINT,
    "AxisText": FAINT,
    "AxisGrid": (45, 45, 50),
    "TitleText": INK,
    "InlayText": FAINT,
    "Crosshairs": DIM,
}
_STYLES = {
    "WindowPadding": (12, 12),
    "FramePadding": (8, 5),
    "ItemSpacing": (8, 7),
    "ItemInnerSpacing": (6, 4),
    "CellPadding": (4, 3),
    "IndentSpacing": (14,),
    "ScrollbarSize": (11,),
    "GrabMinSize": (12,),
}
_ROUNDINGS = {
    "WindowRounding": 6,
    "ChildRounding": 0,
    "PopupRounding": 6,
    "FrameRounding": 4,
    "GrabRounding": 3,
    "ScrollbarRounding": 6,
    "TabRounding": 4,
}


_DISABLED = (
    "mvButton",
    "mvSliderFloat",
    "mvInputText",
    "mvInputInt",
    "mvInputDouble",
    "mvCombo",
    "mvCheckbox",
)


class Look:
    """The fonts and themes, made once a context; `apply` follows the scale."""

    def __init__(self) -> None:
        with inside(dpg.add_font_registry()):
            self.regular = dpg.add_font(str(FONTS / "Inter-Regular.otf"), FONT_SIZE)
            self.bold = dpg.add_font(str(FONTS / "Inter-SemiBold.otf"), FONT_SIZE)
            self.large = dpg.add_font(str(FONTS / "Inter-SemiBold.otf"), round(FONT_SIZE * 1.4))
        dpg.bind_font(self.regular)
        self.primary = _button(ACCENT, ACCENT_HOVER, ACCENT_ACTIVE, (255, 255, 255))
        self.chosen = _button(CHOSEN, (46, 68, 118), (46, 68, 118), INK)
        self.quiet = _button((0, 0, 0, 0), HOVER, ACTIVE, FAINT)
        self.faint, self.good, self.bad = _text(FAINT), _text(GOOD), _text(BAD)
        self.note = _text(FAINT, dense=True)
        self.wrong = _wrong()
        self.gone = _selectable(DIM)
        self.sunk = _sunk()
        self.dense = _style(dpg.mvStyleVar_FramePadding, 8, 1)
        self._theme: int | str | None = None

    def apply(self, scale: float) -> None:
        """Size texts and spaces by this factor."""
        dpg.set_global_font_scale(scale)
        old = self._theme
        with inside(dpg.add_theme()) as self._theme, inside(dpg.add_theme_component(dpg.mvAll)):
            for name, colour in _COLOURS.items():
                dpg.add_theme_color(getattr(dpg, f"mvThemeCol_{name}"), colour)
            for name, sizes in _STYLES.items():
                dpg.add_theme_style(getattr(dpg, f"mvStyleVar_{name}"), *(size * scale for size in sizes))
            for name, size in _ROUNDINGS.items():
                dpg.add_theme_style(getattr(dpg, f"mvStyleVar_{name}"), size * scale)
            for name, colour in _PLOT_COLOURS.items():
                dpg.add_theme_color(getattr(dpg, f"mvPlotCol_{name}"), colour, category=dpg.mvThemeCat_Plots)
            dpg.add_theme_style(dpg.mvStyleVar_ChildBorderSize, 0)
            dpg.add_theme_style(
                dpg.mvPlotStyleVar_PlotPadding, 20 * scale, 6 * scale, category=dpg.mvThemeCat_Plots
            )  # as wide as half of a number of x, which is cut at the plot's edge
            dpg.add_theme_style(dpg.mvPlotStyleVar_FitPadding, 0, 0.1, category=dpg.mvThemeCat_Plots)
            dpg.add_theme_style(dpg.mvPlotStyleVar_LineWeight, 1.5 * scale, category=dpg.mvThemeCat_Plots)
            dpg.add_theme_style(
                dpg.mvPlotStyleVar_PlotMinSize, 60 * scale, 40 * scale, category=dpg.mvThemeCat_Plots
            )
        for name in _DISABLED:
            part = dpg.add_theme_component(getattr(dpg, name), enabled_state=False, parent=self._theme)
            with inside(part):
                _fade(FIELD)
        dpg.bind_theme(self._theme)
        if old is not None:
            dpg.delete_item(old)


def line(colour: tuple[int, ...]) -> int | str:
    """A theme for a curve of this colour."""
    with inside(dpg.add_theme()) as theme, inside(dpg.add_theme_component(dpg.mvAll)):
        dpg.add_theme_color(dpg.mvPlotCol_Line, colour, category=dpg.mvThemeCat_Plots)
    return theme


def _button(
    colour: tuple[int, ...], hover: tuple[int, ...], active: tuple[int, ...], ink: tuple[int, ...]
) -> int | str:
    with inside(dpg.add_theme()) as theme, inside(dpg.add_theme_component(dpg.mvButton)):
        dpg.add_theme_color(dpg.mvThemeCol_Button, colour)
        dpg.add_theme_color(dpg.mvThemeCol_ButtonHovered, hover)
        dpg.add_theme_color(dpg.mvThemeCol_ButtonActive, active)
        dpg.add_theme_color(dpg.mvThemeCol_Text, ink)
    with inside(dpg.add_theme_component(dpg.mvButton, enabled_state=False, parent=theme)):
        _fade(FIELD)
    return theme


def _fade(back: tuple[int, ...]) -> None:
    """The colours of what can't be used now, in the theme component under way."""
    for part in ("Button", "ButtonHovered", "ButtonActive", "FrameBg", "FrameBgHovered", "FrameBgActive"):
        dpg.add_theme_color(getattr(dpg, f"mvThemeCol_{part}"), back)
    for part in ("Text", "SliderGrab", "SliderGrabActive", "CheckMark"):
        dpg.add_theme_color(getattr(dpg, f"mvThemeCol_{part}"), DIM)


def _selectable(ink: tuple[int, ...]) -> int | str:
    with inside(dpg.add_theme()) as theme, inside(dpg.add_theme_component(dpg.mvSelectable)):
        dpg.add_theme_color(dpg.mvThemeCol_Text, ink)
    return theme


def _sunk() -> int | str:
    """A list that lies deeper than its window."""
    with inside(dpg.add_theme()) as theme, inside(dpg.add_theme_component(dpg.mvChildWindow)):
        dpg.add_theme_color(dpg.mvThemeCol_ChildBg, BACK)
        dpg.add_theme_style(dpg.mvStyleVar_ChildRounding, 4)
    with inside(dpg.add_theme_component(dpg.mvSelectable, parent=theme)):
        dpg.add_theme_color(dpg.mvThemeCol_Header, CHOSEN)
        dpg.add_theme_color(dpg.mvThemeCol_HeaderHovered, HOVER)
    return theme


def _wrong() -> int | str:
    """A field whose value can't be."""
    with inside(dpg.add_theme()) as theme, inside(dpg.add_theme_component(dpg.mvAll)):
        dpg.add_theme_color(dpg.mvThemeCol_Border, BAD)
        dpg.add_theme_style(dpg.mvStyleVar_FrameBorderSize, 1)
    return theme


def _text(colour: tuple[int, ...], *, dense: bool = False) -> int | str:
    """`dense`: for lines below one another, which need not align with a button beside them."""
    with inside(dpg.add_theme()) as theme, inside(dpg.add_theme_component(dpg.mvText)):
        dpg.add_theme_color(dpg.mvThemeCol_Text, colour)
        if dense:
            dpg.add_theme_style(dpg.mvStyleVar_FramePadding, 8, 0)
    return theme


def _style(name: int, x: int, y: int) -> int | str:
    with inside(dpg.add_theme()) as theme, inside(dpg.add_theme_component(dpg.mvAll)):
        dpg.add_theme_style(name, x, y)
    return theme
