"""What the window is told of a run that goes on with less, for want of memory."""

from collections.abc import Sequence

from gaussians.session.events import BackedOff
from gaussians.session.messages.reports import Failed


def does_with_less(notes: Sequence[str]) -> Failed:
    """A run begins without what these notes say."""
    return Failed("Memory is short: the run does with less", _sentence("; ".join(notes)), goes_on=True)


def backed_off(event: BackedOff) -> Failed:
    """A stage goes on with fewer Gaussians."""
    return Failed("Memory is full", _sentence(event.text), goes_on=True)


def _sentence(text: str) -> str:
    """The text as one: with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."
