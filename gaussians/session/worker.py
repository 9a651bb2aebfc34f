"""The studio's worker: one thread that owns every tensor, trains, and renders what the window looks at."""

import contextlib
from typing import Any

import torch

from gaussians.allocation import give_back_freed_memory
from gaussians.errors import RecipeError, RunError, StorageError
from gaussians.session.announcer import Announcer
from gaussians.session.aside import go_first
from gaussians.session.events import BackedOff, Event, RunFinished, StageFinished, StageStarted, StepDone
from gaussians.session.exporting import export
from gaussians.session.failures import failed_command, failure
from gaussians.session.gallery import Drawer, Gallery, checked_weights
from gaussians.session.ground import Ground
from gaussians.session.live import Live
from gaussians.session.loader import Loader, Open
from gaussians.session.machine import behind_the_window
from gaussians.session.memory_warnings import backed_off, does_with_less
from gaussians.session.messages.commands import (
    Continue,
    Export,
    Look,
    OpenRun,
    OpenScene,
    OpenSplat,
    Pause,
    Quit,
    SetPreviewShare,
    SetTeacherWeight,
    Start,
    Step,
    Stop,
)
from gaussians.session.messages.frame import ELLIPSOIDS
from gaussians.session.messages.reports import (
    EllipsoidsUnavailable,
    ExportFailed,
    MetricsLogged,
    NotStarted,
    Progressed,
    QuitFailed,
)
from gaussians.session.opening import Opened, keep_finished
from gaussians.session.painter import Painter
from gaussians.session.state_machine import StateMachine
from gaussians.session.states import State
from gaussians.session.training import Training


class Worker(StateMachine):
    """The thread behind the window.

    Args:
        device: where to train and render.
        drawer: of models as ellipsoids, called in the thread; None: they are shown by images alone.
    """

    def __init__(self, device: torch.device, drawer: Drawer | None = None) -> None:
        super().__init__()
        self._device = device
        # All below is the thread's own.
        self._opened: Opened | None = None
        self._training: Training | None = None
        self._painter = Painter(self._frames.put, self._cannot_show, drawer)
        self._loader = Loader(device, self._outbox.put, self._inbox.interrupts_loading)
        self._announcer = Announcer(self._outbox.put)
        self._obey = {
            OpenScene: self._open,
            OpenRun: self._open,
            OpenSplat: self._open,
            Start: self._start,
            Pause: lambda _: self._enter(State.PAUSED),
            Continue: lambda _: self._enter(State.TRAINING),
            Step: self._step,
            Stop: lambda _: self._stop(),
            SetTeacherWeight: self._weigh,
            Look: self._painter.look,
            SetPreviewShare: lambda command: self._painter.share(command.share),
            Export: self._export,
            Quit: self._quit,
        }

    # --- the thread -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        behind_the_window()
        try:
            go_first(self._device)
        except Exception as error:  # the first who needs the GPU will hear of it again
            self._tell_once("The GPU does not answer", error)
        super()._work()

    def _turn(self, timeout: float | None) -> float | None:
        trained = self._training is not None
        try:
            return self._go_on(timeout)
        finally:
            if trained and self._training is None:  # and nothing in this turn holds it any more
                give_back_freed_memory()

    def _go_on(self, timeout: float | None) -> float | None:
        """Carry out one command, paint one frame or train one step; seconds to wait for the next command."""
        command = self._inbox.next(timeout)
        if command is not None:
            self._receive(command)
            return 0.0
        training = self._state is State.TRAINING
        painted = self._paint(training)
        if training and not painted:
            self._advance()
        return 0.0 if painted or training else self._painter.patience()

    # --- opening --------------------------------------------------------------------------------------------

    def _open(self, command: Open) -> None:
        if self._training is not None:
            self._stop()
        opened = self._while_loading(lambda: self._loader.read(command))
        if opened is None:
            return
        self._opened = opened
        self._painter.show(opened.gallery)
        self._outbox.put(opened.message)
        self._enter(State.FINISHED if opened.is_finished else State.IDLE)
        self._announcer.all(opened.gallery)
        if opened.problem is not None:
            self._outbox.put(
                failure("The run's photos can't be read; its models are shown alone", opened.problem)
            )

    # --- training -------------------------------------------------------------------------------------------

    def _start(self, command: Start) -> None:
        opened = self._anything_open()
        ground = opened.trainable()
        prepared = self._while_loading(lambda: self._prepared(command, opened, ground))
        if prepared is None:
            self._outbox.put(NotStarted())
            return
        training, gallery = prepared
        gallery.live = self._live
        if training.notes:
            self._outbox.put(does_with_less(training.notes))
        self._training = training
        self._opened = opened.training_in(training.directory.path, training.run.recipe, gallery)
        if gallery is not opened.gallery:
            self._painter.show(gallery)
        self._enter(State.TRAINING)
        self._announcer.all(gallery)

    def _prepared(self, command: Start, opened: Opened, ground: Ground) -> tuple[Training, Gallery]:
        self._loader.prepare_training()
        training = Training(command.directory, command.recipe, ground, self._device, self._log, self._breathe)
        return training, training.gallery(opened)

    def _advance(self) -> Event | None:
        """Let the run go on to its next event, and tell of it."""
        training = self._training
        assert training is not None, "the state says so"
        try:
            event = training.advance()
        except Exception as error:  # the thread outlives whatever goes wrong
            self._fail(training, error)
            return None
        if isinstance(event, BackedOff):
            self._outbox.put(backed_off(event))
        if isinstance(event, StageFinished):
            keep_finished(self._gallery(), training.directory, event.stage, event.facts)
        self._outbox.put(Progressed(event))
        if isinstance(event, StepDone):
            self._announcer.history(self._gallery())
        elif isinstance(event, StageStarted | StageFinished):
            self._announcer.models(self._gallery())
        if isinstance(event, RunFinished):
            self._close(training)
            self._enter(State.FINISHED)
        return event

    def _step(self, command: Step) -> None:
        while self._state is State.PAUSED and not isinstance(self._advance(), StepDone | None):
            pass

    def _stop(self) -> None:
        """Save and end the run. Where it can't be saved it stays, paused, and the error is raised."""
        training = self._training
        if training is None:
            return
        self._enter(State.STOPPING)
        try:
            training.save()
        except Exception:
            self._enter(State.PAUSED)
            raise
        try:
            self._close(training)
        finally:
            self._enter(State.IDLE)

    def _fail(self, training: Training, error: Exception) -> None:
        """The run can't go on: save what can be saved, and tell of it."""
        self._outbox.put(failure("The run stopped. Resume goes on from its last checkpoint", error))
        if isinstance(error, StorageError):  # between two steps: the parameters are sound
            with contextlib.suppress(Exception):  # it was said that the last checkpoint holds
                training.save()
        try:
            self._close(training)
        finally:
            self._enter(State.IDLE)

    def _close(self, training: Training) -> None:
        """Let go of the run; the model being trained stays to be looked at, as it is now, if that can be."""
        live = training.run.live
        try:
            if live is not None:
                frozen = live.gaussians.detached()
                self._gallery().keep(live.model, len(frozen), lambda: frozen)
        except Exception as error:  # memory is full, but the run is saved
            self._outbox.put(failure("What was trained last can't be shown", error))
        finally:
            self._training = None
            training.close()
        self._announcer.models(self._gallery())

    def _weigh(self, command: SetTeacherWeight) -> None:
        gallery = self._gallery()
        if command.teacher not in gallery.weights:
            raise RecipeError(f"{command.teacher}: no such teacher; there are {', '.join(gallery.weights)}")
        weights = checked_weights({**gallery.weights, command.teacher: command.weight})
        gallery.weights = weights
        step = 0 if self._training is None else self._training.run.weigh(weights)
        self._announcer.weights(gallery, step)

    def _quit(self, command: Quit) -> None:
        try:
            self._stop()
        except Exception as error:
            if not command.unsaved:
                self._outbox.put(QuitFailed(failed_command(command, error)))
                return
        self._quitting = True
        if self._training is not None:
            self._training.close()

    # --- showing --------------------------------------------------------------------------------------------

    def _export(self, command: Export) -> None:
        try:
            self._outbox.put(export(self._gallery(), command.model, command.path))
        except Exception as error:
            self._outbox.put(ExportFailed(failed_command(command, error)))

    def _anything_open(self) -> Opened:
        if self._opened is None:
            raise RunError("nothing is open; open a scene, a run or a splat file first")
        return self._opened

    def _gallery(self) -> Gallery:
        return self._anything_open().gallery

    def _live(self) -> Live | None:
        return None if self._training is None else self._training.run.live

    def _paint(self, training: bool, waits: bool | None = None) -> bool:
        """Render a frame, if one is due; whether it was. Training goes on without, if that goes wrong."""
        try:
            return self._painter.paint(training, waits)
        except Exception as error:
            self._tell_once("The images can't be shown", error)
            return False

    def _cannot_show(self, model: str, error: Exception) -> None:
        if model == ELLIPSOIDS:
            what = "Ellipsoids can't be drawn; images are shown instead"
            self._outbox.put(EllipsoidsUnavailable(failure(what, error)))
        else:
            self._outbox.put(failure(f"{model} can't be shown", error))

    def _breathe(self) -> None:
        """In long work of the run: the camera still moves."""
        look = self._inbox.newest_look()
        if look is not None:
            self._painter.look(look)
        self._paint(training=True, waits=True)

    def _log(self, line: dict[str, Any]) -> None:
        self._outbox.put(MetricsLogged((line,)))
