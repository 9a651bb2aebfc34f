"""What the worker does with each command in each state: a table, so that nothing is left to chance."""

from enum import Enum

from gaussians.session.messages.commands import (
    CancelLoading,
    Command,
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


class State(Enum):
    """Of the worker. The values of all but LOADING are what RunStateChanged tells the window."""

    IDLE = "idle"
    LOADING = "loading"
    TRAINING = "training"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"


class Reaction(Enum):
    """To a command."""

    OBEY = "carry it out"
    IGNORE = "it is so already, or came too late"
    REFUSE = "tell the user why not"
    WAIT = "carry it out in the state that follows"
    INTERRUPT = "give up loading, then carry it out"


_O, _I, _R, _W, _X = (
    Reaction.OBEY,
    Reaction.IGNORE,
    Reaction.REFUSE,
    Reaction.WAIT,
    Reaction.INTERRUPT,
)
_COLUMNS = (State.IDLE, State.LOADING, State.TRAINING, State.PAUSED, State.STOPPING, State.FINISHED)
# Opening while a run is under way saves and ends that first.
_ROWS: dict[type[Command], tuple[Reaction, ...]] = {
    #                 idle loading training paused stopping finished
    OpenScene:        (_O, _X, _O, _O, _W, _O),
    OpenRun:          (_O, _X, _O, _O, _W, _O),
    OpenSplat:        (_O, _X, _O, _O, _W, _O),
    CancelLoading:    (_I, _X, _I, _I, _I, _I),
    Start:            (_O, _W, _R, _R, _W, _O),
    Pause:            (_I, _I, _O, _I, _I, _I),
    Continue:         (_I, _I, _I, _O, _I, _I),
    Step:             (_I, _I, _I, _O, _I, _I),
    Stop:             (_I, _I, _O, _O, _I, _I),
    SetTeacherWeight: (_O, _W, _O, _O, _W, _O),
    Look:             (_O, _W, _O, _O, _W, _O),
    SetPreviewShare:  (_O, _W, _O, _O, _W, _O),
    Export:           (_O, _W, _O, _O, _W, _O),
    Quit:             (_O, _X, _O, _O, _W, _O),
}  # fmt: skip

TABLE: dict[tuple[State, type[Command]], Reaction] = {
    (state, command): reaction
    for command, reactions in _ROWS.items()
    for state, reaction in zip(_COLUMNS, reactions, strict=True)
}
"""The reaction to every command in every state."""
