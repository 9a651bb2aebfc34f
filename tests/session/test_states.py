"""Every command has a reaction in every state, and the worker keeps to it."""

import typing

import numpy as np
import pytest
import torch

from gaussians.camera import Camera
from gaussians.session.messages.commands import (
    Command,
    Export,
    Look,
    OpenRun,
    OpenScene,
    OpenSplat,
    Quit,
    SetPreviewShare,
    SetTeacherWeight,
    Start,
)
from gaussians.session.states import TABLE, Reaction, State
from gaussians.session.worker import Worker
from tests.session import tiny
from tests.session.studio import OPTIONS

COMMANDS: tuple[type[Command], ...] = typing.get_args(Command)
PATH = tiny.Path("nowhere")
ARGUMENTS: dict[type[Command], tuple] = {
    OpenScene: (PATH, OPTIONS),
    OpenRun: (PATH,),
    OpenSplat: (PATH,),
    Start: (PATH, tiny.recipe()),
    SetTeacherWeight: ("vanilla", 1.0),
    Look: (Camera(np.eye(4), np.eye(3), 4, 4), ()),
    SetPreviewShare: (0.5,),
    Export: ("student", PATH),
}


def test_table_has_every_pair():
    assert set(TABLE) == {(state, command) for state in State for command in COMMANDS}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", COMMANDS)
def test_worker_reacts_as_the_table_says(state: State, command: type[Command]):
    worker = Worker(torch.device("cpu"))
    worker._state = state
    obeyed: list[Command] = []
    worker._obey = dict.fromkeys(COMMANDS, obeyed.append)
    worker._receive(command(*ARGUMENTS.get(command, ())))
    reaction = TABLE[state, command]
    assert bool(obeyed) == (reaction is Reaction.OBEY)
    assert bool(worker.reports()) == (reaction is Reaction.REFUSE)


def test_worker_can_obey_whatever_the_table_wants_obeyed():
    worker = Worker(torch.device("cpu"))
    wanted = {command for (_, command), reaction in TABLE.items() if reaction is Reaction.OBEY}
    assert wanted == set(worker._obey)


def test_only_loading_is_interrupted_and_a_way_out_is_always_there():
    for (state, command), reaction in TABLE.items():
        if reaction is Reaction.INTERRUPT:
            assert state is State.LOADING
            # What interrupted is carried out in the state before, or is done by that.
            assert TABLE[State.IDLE, command] in (Reaction.OBEY, Reaction.IGNORE)
    for state in set(State) - {State.LOADING, State.STOPPING}:
        assert TABLE[state, Quit] is Reaction.OBEY
