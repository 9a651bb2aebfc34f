"""What conflates between the threads, and what must not."""

import threading
import time

import numpy as np

from gaussians.camera import Camera
from gaussians.distill.pipeline import Stage
from gaussians.session.events import StageFinished, StageStarted, StepDone
from gaussians.session.inbox import Inbox
from gaussians.session.latest import Frames, Latest
from gaussians.session.messages.commands import CancelLoading, Look, Pause, SetPreviewShare, Step
from gaussians.session.messages.frame import Frame
from gaussians.session.messages.reports import (
    Failed,
    HistoryGrew,
    Loading,
    MetricsLogged,
    Progressed,
    Report,
    RunStateChanged,
)
from gaussians.session.outbox import Outbox

STAGE = Stage("trunk", "vanilla", 0, 100)


def drained(*reports: Report) -> list[Report]:
    outbox = Outbox()
    for report in reports:
        outbox.put(report)
    result = outbox.drain()
    assert outbox.drain() == []
    return result


def step(number: int) -> Progressed:
    return Progressed(StepDone(STAGE, number, 5))


def looks(number: int) -> Look:
    return Look(Camera(np.eye(4), np.eye(3), number, number), ())


def test_latest_holds_only_the_newest():
    slot: Latest[int] = Latest()
    assert slot.take() is None
    slot.put(1)
    slot.put(2)
    assert slot.take() == 2
    assert slot.take() is None


def test_latest_never_goes_back_between_two_threads():
    slot: Latest[int] = Latest()
    thread = threading.Thread(target=lambda: [slot.put(number) for number in range(20_000)])
    thread.start()
    taken = []
    while thread.is_alive() or not taken or taken[-1] < 19_999:
        value = slot.take()
        if value is not None:
            taken.append(value)
    assert taken == sorted(set(taken))


def test_steps_and_loading_conflate_to_the_newest():
    assert drained(step(1), step(2), step(3)) == [step(3)]
    assert drained(Loading("a", 0, 2), Loading("a", 1, 2)) == [Loading("a", 1, 2)]
    assert drained(HistoryGrew((1,)), step(1), HistoryGrew((1, 2))) == [step(1), HistoryGrew((1, 2))]


def test_stages_failures_and_states_never_drop():
    kept: list[Report] = [
        Progressed(StageStarted(STAGE, 0, 6, 0)),
        Failed("a", "b"),
        RunStateChanged("paused"),
        RunStateChanged("paused"),
        Failed("a", "b"),
        Progressed(StageFinished(STAGE, {}, False)),
    ]
    mixed = [report for pair in zip(kept, map(step, range(6)), strict=True) for report in pair]
    assert [report for report in drained(*mixed) if report != step(5)] == kept


def test_metrics_gather_whatever_comes_between():
    lines = [{"step": number} for number in range(4)]
    reports = [report for line in lines for report in (MetricsLogged((line,)), step(line["step"]))]
    assert drained(*reports) == [MetricsLogged(tuple(lines)), step(3)]


def test_waiting_reports_stay_few_however_long_nobody_drains():
    outbox = Outbox()
    for number in range(1000):
        outbox.put(step(number))
        outbox.put(Loading("a", number, 1000))
        outbox.put(MetricsLogged(({"step": number},)))
    assert len(outbox.drain()) == 3


def test_commands_keep_their_order_and_looks_conflate():
    inbox = Inbox()
    for command in (looks(1), Pause(), looks(2), Step(), Step(), looks(3)):
        inbox.put(command)
    got = [inbox.next() for _ in range(5)]
    assert got[:3] == [Pause(), Step(), Step()]
    assert isinstance(got[3], Look)
    assert got[3].camera.width == 3
    assert got[4] is None


def test_newest_look_leaves_other_commands_in_order():
    inbox = Inbox()
    for command in (Pause(), looks(1), Step(), looks(2)):
        inbox.put(command)
    look = inbox.newest_look()
    assert look is not None
    assert look.camera.width == 2
    assert [inbox.next(), inbox.next(), inbox.next()] == [Pause(), Step(), None]


def test_only_some_commands_interrupt_loading():
    inbox = Inbox()
    inbox.put(SetPreviewShare(0.3))
    assert not inbox.interrupts_loading()
    inbox.put(CancelLoading())
    assert inbox.interrupts_loading()
    assert [inbox.next(), inbox.next()] == [SetPreviewShare(0.3), CancelLoading()]


def test_sleeping_inbox_wakes_for_a_command():
    inbox = Inbox()
    threading.Timer(0.02, lambda: inbox.put(Pause())).start()
    assert inbox.next(timeout=None) == Pause()
    assert inbox.next(timeout=0.001) is None


def frame(x: int) -> Frame:
    return Frame("cell", "student", np.zeros((2, 2, 3), np.uint8), looks(x).camera, 1)


def test_waiting_for_a_frame_ends_when_the_right_one_comes():
    frames = Frames()
    frames.put(frame(1))
    threading.Timer(0.02, lambda: frames.put(frame(2))).start()
    began = time.perf_counter()
    frames.wait("cell", lambda arrived: arrived.camera.width == 2, 30)
    assert time.perf_counter() - began < 20
    taken = frames.take("cell")
    assert taken is not None
    assert taken.camera.width == 2


def test_waiting_for_a_frame_that_does_not_come_ends():
    frames = Frames()
    frames.wait("cell", lambda arrived: True, 0.01)
    frames.put(frame(1))
    frames.wait("cell", lambda arrived: False, 0.01)
    assert frames.take("cell") is not None
