"""Items within items: the toolkit's containers as context managers that say what they yield."""

import contextlib
from collections.abc import Iterator

import dearpygui.dearpygui as dpg


@contextlib.contextmanager
def inside(container: int | str) -> Iterator[int | str]:
    """Within: new items go into this container."""
    dpg.push_container_stack(container)
    try:
        yield container
    finally:
        dpg.pop_container_stack()
