"""Keys, with a list open and without."""

from collections import Counter

import dearpygui.dearpygui as dpg
import pytest

from app import lists
from app.cell_menu import build_cell_menu
from app.dialogs import Dialogs
from app.lists import MENUS, Lists
from app.shortcuts import Shortcuts
from app.studio import Studio
from app.theme import Look
from app.view_bar import CELLS


class Focus:
    """What the toolkit says of its windows' focus, as a test has it."""

    def __init__(self) -> None:
        self.is_ours, self.asked_for = True, 0

    def ask(self, _: int | str) -> None:
        self.asked_for += 1


@pytest.fixture
def focus(look: Look, monkeypatch: pytest.MonkeyPatch) -> Focus:
    focus, window = Focus(), dpg.add_window()
    build_cell_menu()
    dpg.add_window(tag=CELLS, popup=True, show=False)
    monkeypatch.setattr(lists.dpg, "get_active_window", lambda: window)
    monkeypatch.setattr(lists.dpg, "is_item_focused", lambda _: focus.is_ours)
    monkeypatch.setattr(lists.dpg, "focus_item", focus.ask)
    return focus


def settled() -> Lists:
    """As it is after a few frames."""
    lists = Lists()
    for _ in range(4):
        lists.settle()
    return lists


def test_a_list_is_open_while_none_of_our_windows_has_the_focus(focus: Focus) -> None:
    assert not settled().is_open
    focus.is_ours = False
    lists = Lists()
    lists.settle()
    assert not lists.is_open, "it goes from one window to another"
    lists.settle()
    assert lists.is_open
    lists.close()
    assert focus.asked_for == 1
    focus.is_ours = True
    lists.settle()
    assert not lists.is_open


def test_a_window_within_a_window_may_have_the_focus(focus: Focus, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = dpg.add_child_window(parent=dpg.add_window())
    monkeypatch.setattr(lists.dpg, "is_item_focused", lambda item: item == inner)
    assert not settled().is_open
    dpg.delete_item(inner)
    assert settled().is_open


def test_a_window_that_opens_over_a_list_takes_the_keys_again(
    focus: Focus, monkeypatch: pytest.MonkeyPatch
) -> None:
    focus.is_ours = False
    opened = settled()
    inner = dpg.add_child_window(parent=dpg.add_window())
    monkeypatch.setattr(lists.dpg, "is_item_focused", lambda item: item == inner)
    assert opened.is_open
    for _ in range(lists.ANEW):
        opened.settle()
    assert not opened.is_open


@pytest.mark.parametrize("menu", MENUS)
def test_a_menu_is_open_until_it_is_closed(focus: Focus, menu: str) -> None:
    lists = settled()
    dpg.configure_item(menu, show=True)
    assert lists.is_open
    lists.close()
    assert not lists.is_open
    assert focus.asked_for == 0


@pytest.mark.parametrize("dialog", [False, True])
def test_keys_do_nothing_but_close_the_list_that_is_open(
    focus: Focus, opened: Studio, look: Look, dialog: bool
) -> None:
    done, dialogs = Counter(), Dialogs(opened, look)
    actions = {
        name: lambda name=name: done.update([name])
        for name in ("run", "flip", "export", "close", "larger", "smaller")
    }
    if dialog:
        dialogs.window("Export", 520, tag="export dialog", on_enter=actions["export"])
    focus.is_ours = False
    shortcuts = Shortcuts(opened, settled(), dialogs, lambda: False, lambda: False, actions)
    view, cells = opened.control and opened.control.target, opened.layout.shown
    for key in (dpg.mvKey_Spacebar, dpg.mvKey_N, dpg.mvKey_2, dpg.mvKey_Return, dpg.mvKey_F1):
        shortcuts.press(key)
    assert not done
    assert opened.control
    assert (opened.control.target, opened.layout.shown) == (view, cells)
    shortcuts.press(dpg.mvKey_Escape)
    assert focus.asked_for == 1
    assert dialogs.is_open == dialog
    focus.is_ours = True
    shortcuts = Shortcuts(opened, settled(), dialogs, lambda: False, lambda: False, actions)
    shortcuts.press(dpg.mvKey_Return if dialog else dpg.mvKey_Spacebar)
    assert list(done) == ["export" if dialog else "run"]
