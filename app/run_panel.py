"""Run control: start, pause, step, stop, resume, and how far it is. Always in sight."""

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import text
from app.containers import inside
from app.fitting import fitted
from app.keys import calling
from app.studio import Studio
from app.theme import Look
from gaussians.distill.pipeline import STUDENT
from gaussians.session.messages.commands import Continue, Pause, Step, Stop

STAGES = {
    "trunk": "Common start",
    "labels": "Soft labels",
    "student": "Student",
}
TITLE_WIDTH = 310  # px at scale 1
PRIMARY = ("start", "continue", "export result")

Button = tuple[str, str, Callable[[], None], str]
"""Its tag, its label, what it does, and its tip."""


class RunPanel:
    """The buttons that drive a run, and its progress.

    Args:
        studio: whose run it is.
        look: themes.
        export: asks how to write what came of the run.
    """

    def __init__(self, studio: Studio, look: Look, export: Callable[[], None]) -> None:
        self._studio, self._look, self._export = studio, look, export
        self._made: tuple = ()  # the scale, and each button's tag and label

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        with inside(dpg.add_group(parent=parent, tag="run panel")):
            dpg.bind_item_font(dpg.add_text("", tag="run title"), self._look.bold)
            with inside(dpg.add_tooltip("run title", delay=0.4)):
                dpg.add_text("", tag="run place")
            dpg.add_text("", tag="run line", wrap=0)
            dpg.add_text("", tag="run verdict", wrap=0, show=False)
            dpg.bind_item_theme("run verdict", self._look.dense)
            dpg.add_group(horizontal=True, tag="run buttons")
            with inside(dpg.add_group(tag="run progress")):
                dpg.add_text("", tag="stage line")
                dpg.add_progress_bar(tag="stage bar", width=-1, height=6)
                dpg.add_text("", tag="total line")
                dpg.add_progress_bar(tag="total bar", width=-1, height=6)
            for tag in ("run line", "stage line", "total line"):
                dpg.bind_item_theme(tag, self._look.note)

    def toggle(self) -> None:
        """What the space bar does: start, pause, continue."""
        state = self._studio.state.run_state
        {"training": self._pause, "paused": self._continue, "stopping": lambda: None}.get(
            state, self._studio.start if self._can_start else lambda: None
        )()

    def refresh(self) -> None:
        """Follow the state."""
        studio, state = self._studio, self._studio.state
        opened = state.opened
        dpg.configure_item("run panel", show=opened is not None)
        if opened is None:
            return
        scene = bool(opened.cameras)
        room = round(TITLE_WIDTH * dpg.get_global_font_scale())
        dpg.set_value("run title", fitted(studio.title, room, text.begun))
        dpg.set_value("run place", str(opened.path))
        dpg.set_value("run line", self._line())
        self._show_buttons(self._wanted_buttons(scene))
        verdict = self._verdict() if state.run_state == "finished" and not state.starting else ""
        dpg.set_value("run verdict", verdict)
        dpg.configure_item("run verdict", show=bool(verdict))
        under_way = state.progress is not None and state.run_state != "finished" and not state.starting
        dpg.configure_item("run progress", show=under_way)
        if under_way:
            self._refresh_progress()

    @property
    def _can_start(self) -> bool:
        state = self._studio.state
        there = state.opened is not None and bool(state.opened.cameras)
        return there and not self._unavailable and not self._is_finished

    @property
    def _unavailable(self) -> bool:
        """Whether no run can begin now."""
        state = self._studio.state
        return state.busy or state.is_loading or state.starting

    @property
    def _is_finished(self) -> bool:
        """Whether what is open is a run with nothing left to do."""
        state = self._studio.state
        return state.run is not None and state.run_state == "finished"

    def _line(self) -> str:
        state = self._studio.state
        opened = state.opened
        assert opened is not None
        if not opened.cameras and state.run is not None:
            return "The photos of this run can't be read. Put them back and open it again to train."
        if not opened.cameras:
            return "A splat file. Open a scene to train."
        if state.run_state == "stopping":
            return "Saving…"
        if state.starting:
            return "Starting…"
        if state.run is None:
            return (
                f"{len(opened.cameras)} photos, {len(opened.test)} of them held out to measure. Press Start."
            )
        where = fitted(str(state.run[0]), round(220 * dpg.get_global_font_scale()))
        if state.run_state == "finished":
            return f"Finished. Saved in {where}"
        recipe = state.run[1].name.capitalize()
        return f"{recipe} recipe, in {where}" if state.busy else f"Not finished. Saved in {where}"

    def _verdict(self) -> str:
        """What the run was for: the student beside its first teacher."""
        state = self._studio.state
        teacher = next(iter(state.teachers), None)
        counts, psnr = state.counts, state.psnr
        if teacher is None or not all(counts.get(name) for name in (STUDENT, teacher)):
            return ""
        return text.verdict(
            (counts[STUDENT], psnr.get(STUDENT)), (counts[teacher], psnr.get(teacher)), text.model(teacher)
        )

    def _refresh_progress(self) -> None:
        progress = self._studio.state.progress
        assert progress is not None
        stage, running = progress.stage, self._studio.state.run_state == "training"
        if stage is None:
            dpg.set_value("stage line", "Starting…")
        else:
            name = STAGES.get(stage.name, f"Teacher {stage.name}")
            unit = "view" if stage.name == "labels" else "step"
            parts = [
                f"{progress.number}/{len(progress.plan)}  {name}",
                f"{unit} {progress.step:,} of {stage.last:,}",
            ]
            if progress.stage_left is not None and running:
                parts.append(f"{text.duration(progress.stage_left)} left")
            dpg.set_value("stage line", "  ·  ".join(parts))
        dpg.set_value("stage bar", progress.stage_share)
        parts = [f"{progress.total_share:.0%} in total"]
        if progress.total_left is not None and running:
            parts.append(text.rate(progress.rate or 0))
            parts.append(f"{text.duration(progress.total_left)} left")
        dpg.set_value("total line", "  ·  ".join(parts))
        dpg.set_value("total bar", progress.total_share)

    def _wanted_buttons(self, scene: bool) -> list[Button]:
        """The buttons for this state."""
        state, wanted = self._studio.state, []
        if state.starting:  # the box over the cells has the button to give it up
            return wanted
        if scene and not state.busy and state.run is None:
            wanted.append(("start", "Start", self._studio.start, "Train teachers, then the student  (Space)"))
        elif scene and not state.busy and not self._is_finished:
            wanted.append(("start", "Resume", self._studio.start, "Go on where it was saved  (Space)"))
        if self._is_finished and STUDENT in state.counts:
            help = "Write the student as a splat file  (Ctrl+E)"
            wanted.append(("export result", "Export…", self._export, help))
        if state.run_state == "training":
            wanted.append(("pause", "Pause", self._pause, "Pause after this step  (Space)"))
        if state.run_state == "paused":
            wanted.append(("continue", "Continue", self._continue, "Go on  (Space)"))
            wanted.append(("step", "Step", self._step, "One step, then pause again"))
        if state.run_state in ("training", "paused"):
            wanted.append(("stop", "Stop", self._stop, "Save and end; the run can be resumed later"))
        if scene and state.run is not None and not state.busy:
            wanted.append(("anew", "New run", self._start_anew, "Begin anew, with the recipe below"))
        return wanted

    def _show_buttons(self, wanted: list[Button]) -> None:
        """Made anew: a row whose first item is hidden loses its line."""
        scale, loading = dpg.get_global_font_scale(), self._studio.state.is_loading
        made = (scale, loading, *((tag, label) for tag, label, _, _ in wanted))
        if made == self._made:
            return
        self._made = made
        dpg.delete_item("run buttons", children_only=True)
        dpg.configure_item("run buttons", show=bool(wanted))
        for tag, label, callback, help in wanted:
            wide = round((120 if tag in PRIMARY else 84) * scale)
            waits = tag in ("start", "anew") and loading
            dpg.add_button(label=label, tag=tag, parent="run buttons", width=wide, enabled=not waits)
            dpg.configure_item(tag, callback=calling(callback))
            with inside(dpg.add_tooltip(tag, delay=0.4)):
                dpg.add_text(help)
            if tag in PRIMARY:
                dpg.bind_item_theme(tag, self._look.primary)

    def _step(self) -> None:
        self._studio.worker.send(Step())

    def _pause(self) -> None:
        self._studio.worker.send(Pause())

    def _continue(self) -> None:
        self._studio.worker.send(Continue())

    def _stop(self) -> None:
        self._studio.worker.send(Stop())

    def _start_anew(self) -> None:
        self._studio.start(anew=True)
