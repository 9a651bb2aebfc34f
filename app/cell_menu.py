"""What a right click on a cell offers: enlarge, hide, swap."""

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import text
from app.layout import Layout

MENU = "cell menu"


def build_cell_menu() -> None:
    """Make the menu, hidden."""
    dpg.add_window(tag=MENU, popup=True, show=False, no_title_bar=True, autosize=True)


def show_cell_menu(layout: Layout, cell: str) -> None:
    """Show what can be done with a cell, where the mouse is."""
    dpg.delete_item(MENU, children_only=True)

    def entry(label: str, callback: Callable[[], None]) -> None:
        def chosen() -> None:
            dpg.configure_item(MENU, show=False)
            callback()

        dpg.add_selectable(label=label, parent=MENU, callback=lambda: chosen())

    entry("Back to grid" if layout.enlarged else "Enlarge", lambda: layout.enlarge(cell))
    if not layout.enlarged and len(layout.in_grid) > 1:
        entry("Hide", lambda: layout.toggle(cell))
        for other in layout.in_grid:
            if other != cell:
                entry(f"Swap with {text.model(other)}", lambda other=other: layout.swap(cell, other))
    dpg.configure_item(MENU, show=True, pos=dpg.get_mouse_pos(local=False))
