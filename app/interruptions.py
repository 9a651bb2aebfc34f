"""What comes in front by itself, one after the other: errors, what to open, questions on closing."""

import time
from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.containers import inside
from app.dialogs import Dialogs
from app.studio import Studio
from app.theme import Look
from gaussians.session.messages.reports import Failed

PATIENCE = 10.0  # seconds of saving, after which one may close without


class Interruptions:
    """Shows a dialog when it is its turn: the toolkit has one after the other.

    Args:
        studio: whose failures are told.
        look: themes.
        dialogs: that are shown.
    """

    def __init__(self, studio: Studio, look: Look, dialogs: Dialogs) -> None:
        self._studio, self._look, self._dialogs = studio, look, dialogs
        self._next: Callable[[], None] | None = None
        self._closing = False
        self._saving_since: float | None = None  # while nothing has been offered but to wait

    def refresh(self) -> None:
        """Show what is due."""
        state, dialogs = self._studio.state, self._dialogs
        if state.unsaved is not None:
            failed, state.unsaved = state.unsaved, None
            self._closing, self._saving_since = False, None
            self._next = lambda: self._ask_to_close_unsaved(failed)
        if self._next is None and state.failures and dialogs.can_be_interrupted:
            failed = state.failures.pop(0)
            self._next = lambda: dialogs.error(failed)
        if self._next is not None and dialogs.is_free:
            show, self._next = self._next, None
            show()
        elif self._saving_since is not None and time.monotonic() > self._saving_since + PATIENCE:
            self._saving_since = None
            dialogs.saving(self._studio.abandon)
        elif self._next is not None:
            dialogs.close()
        if state.opened is None and not state.opening and not state.lost and dialogs.is_free:
            dialogs.start_page()

    def close_window(self) -> None:
        """Close, after asking if a run is under way."""
        if self._studio.state.busy and not self._closing:
            self._next = lambda: self._dialogs.closing(self._leave)
        else:
            self._leave()

    def _leave(self, *, unsaved: bool = False) -> None:
        """Save and close."""
        self._closing = True
        self._next, self._saving_since = self._dialogs.saving, time.monotonic()
        self._studio.leave(unsaved=unsaved)

    def _ask_to_close_unsaved(self, failed: Failed) -> None:
        """Before the steps since the last checkpoint are lost."""
        with self._dialogs.window("Close without saving?", 520, tag="unsaved dialog"):
            dpg.bind_item_font(dpg.add_text(failed.what, wrap=0), self._look.bold)
            dpg.add_text(failed.advice, wrap=0)
            lost = "Unsaved, the steps since the last checkpoint are lost; they can be trained again."
            dpg.add_text(lost, wrap=0)
            dpg.add_spacer(height=4)
            with inside(dpg.add_group(horizontal=True)):
                again = dpg.add_button(
                    label="Try to save again", tag="unsaved again", callback=lambda: self._leave()
                )
                dpg.bind_item_theme(again, self._look.primary)
                dpg.add_button(
                    label="Close without saving",
                    tag="unsaved close",
                    callback=lambda: self._leave(unsaved=True),
                )
                dpg.add_button(
                    label="Keep the window open", tag="unsaved keep", callback=lambda: self._dialogs.close()
                )
