"""Each teacher: on or off, its weight, its count, its held-out PSNR, and its share of the label."""

import dearpygui.dearpygui as dpg

from app import text
from app.containers import inside
from app.studio import Studio
from app.theme import Look
from gaussians.distill.pipeline import ENSEMBLE, STUDENT
from gaussians.session.messages.commands import SetTeacherWeight

LEAST, MOST = 0.05, 3.0  # weight of one that is on alone, and of any
EMPTY = (
    "Press Start: each teacher is listed here once it is trained, with its size, its quality, and its weight "
    "in what the student learns."
)
NONE = "A splat file has no teachers. Open a scene to train some."


class TeachersPanel:
    """A block for each teacher, and what they make together."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look
        self._names: tuple[str, ...] | None = None
        self._kept: dict[str, float] = {}  # weights of those that are off, for when they come back

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        with inside(dpg.add_group(parent=parent)):
            dpg.bind_item_theme(dpg.add_text("", tag="no teachers", wrap=0), self._look.faint)
            dpg.add_group(tag="teachers")

    def refresh(self) -> None:
        """Follow the state."""
        state = self._studio.state
        names = state.teachers if state.opened is not None and state.opened.cameras else ()
        dpg.set_value("no teachers", EMPTY if state.opened and state.opened.cameras else NONE)
        if names != self._names:
            self._names = names
            self._make(names)
        shares = state.shares
        on = [name for name in names if shares[name] > 0]
        for name in names:
            weight = state.weights.get(name, 1.0)
            if weight > 0:
                self._kept[name] = weight
            dpg.set_value(f"teacher on {name}", weight > 0)
            is_last = on == [name]  # which has to teach
            dpg.configure_item(f"teacher on {name}", enabled=not is_last)
            least = LEAST if is_last else 0.0
            dpg.configure_item(f"weight {name}", enabled=weight > 0, min_value=least)
            if not dpg.is_item_active(f"weight {name}"):
                dpg.set_value(f"weight {name}", weight)
            dpg.set_value(f"teacher facts {name}", self._facts(name))
            dpg.set_value(f"teacher share {name}", shares[name])
            dpg.configure_item(f"teacher share {name}", overlay=f"{shares[name]:.0%} of the label")
        dpg.set_value("together", self._together())

    def _make(self, names: tuple[str, ...]) -> None:
        dpg.configure_item("no teachers", show=not names)
        dpg.delete_item("teachers", children_only=True)
        for name in names:
            with inside(dpg.add_group(parent="teachers")):
                dpg.add_checkbox(
                    label=text.model(name),
                    tag=f"teacher on {name}",
                    user_data=name,
                    callback=lambda _, on, name: self._switch(name, on),
                )
                dpg.bind_item_font(f"teacher on {name}", self._look.bold)
                dpg.bind_item_theme(dpg.add_text("", tag=f"teacher facts {name}"), self._look.faint)
                with inside(dpg.add_group(horizontal=True)):
                    dpg.add_text("Weight")
                    dpg.add_slider_float(
                        tag=f"weight {name}",
                        width=-1,
                        max_value=MOST,
                        format="%.2f",
                        clamped=True,
                        no_input=True,
                        user_data=name,
                        callback=lambda _, weight, name: self._weigh(name, weight),
                    )
                dpg.add_progress_bar(tag=f"teacher share {name}", width=-1)
                with inside(dpg.add_tooltip(f"teacher on {name}", delay=0.4)):
                    dpg.add_text("Off: it has no part in the ensemble, nor in what the student learns next.")
                    dpg.add_text("One has to stay on.")
                dpg.add_spacer(height=6)
        with inside(dpg.add_group(parent="teachers", show=bool(names))):
            dpg.add_separator()
            dpg.add_text("", tag="together", wrap=0)

    def _facts(self, name: str) -> str:
        state = self._studio.state
        facts = [text.gaussians(state.counts[name])]
        if name in state.psnr:
            facts.append(f"{state.psnr[name]:.2f} dB held out")
        elif name in state.probed:
            facts.append(f"{state.probed[name]:.2f} dB on {state.probe}")
        return "  ·  ".join(facts)

    def _together(self) -> str:
        state = self._studio.state
        lines = [
            f"{text.model(name)}: {state.psnr[name]:.2f} dB held out"
            for name in (ENSEMBLE, STUDENT)
            if name in state.psnr
        ]
        if STUDENT in state.probed and STUDENT not in state.psnr:
            first = next(iter(state.teachers), None)  # whose other figure is of other views
            beside = f" ({text.model(first)}: {state.probed[first]:.2f})" if first in state.probed else ""
            lines.append(f"{text.model(STUDENT)}: {state.probed[STUDENT]:.2f} dB on {state.probe}{beside}")
        return "\n".join(lines)

    def _switch(self, name: str, on: bool) -> None:
        self._weigh(name, self._kept.get(name, 1.0) if on else 0.0)

    def _weigh(self, name: str, weight: float) -> None:
        self._studio.worker.send(SetTeacherWeight(name, weight))
