"""Copies to a GPU that the host does not wait for."""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device: itself, if it is there.

    From the CPU to a GPU it goes by way of pinned memory; from any other the driver copies only once the GPU
    has done all that was asked of it before.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
