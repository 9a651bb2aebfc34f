import threading

import pytest

from app.errand import Errand


def test_what_is_quick_is_there_at_once() -> None:
    errand = Errand(lambda: 3)
    assert errand.is_done(5.0)
    assert errand.result == 3


def test_what_hangs_is_not_waited_for_longer_than_asked() -> None:
    answer = threading.Event()
    errand = Errand(answer.wait)
    assert not errand.is_done(0.01)
    answer.set()
    assert errand.is_done(5.0)
    assert errand.result


def test_what_goes_wrong_is_told_to_who_asks() -> None:
    def fail() -> None:
        raise OSError("gone")

    errand = Errand(fail)
    assert errand.is_done(5.0)
    with pytest.raises(OSError, match="gone"):
        _ = errand.result
