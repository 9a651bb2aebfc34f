"""The line at the bottom: device, memory, and how fast window and training go."""

import time

import dearpygui.dearpygui as dpg
import torch

from app import text
from app.containers import inside
from app.studio import Studio
from app.theme import Look
from gaussians.session.machine import device_name, memory_in_use


class StatusBar:
    """Facts about this machine at work.

    Args:
        studio: what is done.
        look: themes.
        device: where it is trained.
    """

    def __init__(self, studio: Studio, look: Look, device: torch.device) -> None:
        self._studio, self._look, self._device = studio, look, device
        self._name = device_name(device)
        self._frames = 0
        self._since = time.perf_counter()
        self.frame_rate = 0.0

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        with inside(dpg.add_group(horizontal=True, parent=parent, tag="status bar")):
            for tag in ("status device", "status memory", "status window", "status training"):
                dpg.add_text("", tag=tag)
                dpg.bind_item_theme(tag, self._look.faint)
                dpg.add_spacer(width=10)
        backend = "gsplat (CUDA)" if self._device.type == "cuda" else "compiled kernels (CPU)"
        dpg.set_value("status device", f"{self._name}  ·  {backend}")

    def count_frame(self) -> None:
        """A frame was drawn; once a second, refresh."""
        self._frames += 1
        now = time.perf_counter()
        if now - self._since < 1.0:
            return
        self.frame_rate = self._frames / (now - self._since)
        self._frames, self._since = 0, now
        used = memory_in_use(self._device)
        state = self._studio.state
        dpg.set_value("status memory", f"Memory {text.size(used)}")
        dpg.set_value("status window", f"Window {self.frame_rate:.0f}/s")
        rate = state.progress.rate if state.progress and state.run_state == "training" else None
        dpg.set_value("status training", f"Training {text.rate(rate)}" if rate else "")
