"""The studio under test, that also writes down what its dialogs say, and whose worker can be made to die.

Run as a program, with main.py's arguments. Beside TRACE are words.txt and, where a test has made it, die.
"""

import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parents[2])
)  # before all else: main.py is at the top, this not

import dearpygui.dearpygui as dpg
import torch

from app.studio import Studio
from app.trace import Trace
from app.window import Window
from gaussians.session.worker import Worker

DIALOGS = ("error dialog", "unsaved dialog", "closing dialog", "export dialog")


class MortalWorker(Worker):
    """Dies as threads do where memory is so full that not even an error can be told."""

    def __init__(self, device: torch.device, die: Path) -> None:
        super().__init__(device)
        self._die = die

    def _turn(self, timeout: float | None) -> float | None:
        if self._die.exists():
            raise MemoryError
        return super()._turn(0.1)

    def _tell_once(self, what: str, error: BaseException) -> None:
        raise MemoryError from error


class Words:
    """Writes what is where, and the words of the dialog in front."""

    def __init__(self, trace: Path) -> None:
        self._trace, self._path = Trace(trace), trace.with_name("words.txt")
        self._written = ""

    def __call__(self, window: Window) -> None:
        self._trace(window)
        shown = [tag for tag in DIALOGS if dpg.does_item_exist(tag) and dpg.is_item_shown(tag)]
        words = "\n".join(_words(tag) for tag in shown)
        if words != self._written:
            self._written = words
            self._path.write_text(words)


def _words(item: int | str) -> str:
    if dpg.get_item_type(item) == "mvAppItemType::mvText":
        return dpg.get_value(item)
    children = dpg.get_item_children(item, 1) or []
    return "\n".join(filter(None, map(_words, children)))  # pyright: ignore[reportArgumentType] - slot 1 is a list


def main(arguments: list[str]) -> int:
    path, flags = Path(arguments[0]), dict(zip(arguments[1::2], arguments[2::2], strict=True))
    trace, device = Path(flags["--trace"]), torch.device(flags["--device"])
    studio = Studio(MortalWorker(device, trace.with_name("die")), Path(flags["--run"]))
    return Window(studio, device, path, Words(trace)).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
