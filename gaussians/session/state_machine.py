"""A thread that is in one state at a time, and does with each command what the table says of it there."""

from collections.abc import Callable
from typing import Any, TypeVar

from gaussians.errors import RunError
from gaussians.session.command_thread import CommandThread
from gaussians.session.failures import failed_command
from gaussians.session.loader import LoadingCancelled
from gaussians.session.messages.commands import Command, Start
from gaussians.session.messages.reports import NotStarted, RunStateChanged
from gaussians.session.states import TABLE, Reaction, State

T = TypeVar("T")


class StateMachine(CommandThread):
    """The thread's state, and its reactions; what is done to obey is up to who derives from this."""

    def __init__(self) -> None:
        super().__init__()
        # All below is the thread's own.
        self._state = State.IDLE
        self._obey: dict[type[Command], Callable[[Any], None]] = {}

    def _receive(self, command: Command) -> None:
        """React to a command. What goes wrong is reported, never raised."""
        reaction = TABLE[self._state, type(command)]
        try:
            if reaction is Reaction.OBEY:
                self._obey[type(command)](command)
            elif reaction is Reaction.REFUSE:
                raise RunError("A run is under way; stop it first")
        except Exception as error:  # the thread outlives whatever goes wrong
            if isinstance(command, Start):
                self._outbox.put(NotStarted())
            self._outbox.put(failed_command(command, error))

    def _enter(self, state: State) -> None:
        """Be in this state from now on, and tell of it."""
        self._state = state
        if state is not State.LOADING:
            self._outbox.put(RunStateChanged(state.value))

    def _while_loading(self, action: Callable[[], T]) -> T | None:
        """What the action returns, in the state LOADING; None, in the state before: it was cancelled."""
        before = self._state
        self._enter(State.LOADING)
        try:
            return action()
        except LoadingCancelled:
            self._enter(before)
            return None
        except BaseException:
            self._enter(before)
            raise
