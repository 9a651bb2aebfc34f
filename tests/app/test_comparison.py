import numpy as np

from app.comparison import Comparison
from gaussians.session.messages.frame import Frame
from tests.app.fake_worker import camera


def frame(model: str) -> Frame:
    return Frame("compare second", model, np.zeros((4, 4, 3), np.uint8), camera(), 1)


def test_what_is_compared_is_named_by_the_images_that_are_seen() -> None:
    comparison = Comparison()
    assert comparison.models(frame("photo"), frame("history:132")) == ("photo", "history:132")
    assert comparison.models(frame("photo"), frame("student")) == ("photo", "student")
    assert comparison.models(None, None) == ("photo", "student")


def test_an_image_of_what_was_compared_before_is_not_seen() -> None:
    comparison = Comparison()
    comparison.choose("second", "dropout")
    assert comparison.models(frame("photo"), frame("history:132")) == ("photo", "dropout")
