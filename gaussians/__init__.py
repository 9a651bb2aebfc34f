"""Splat Distillery's engine: scenes, rasterizer, training, distillation, files. Knows no window."""

__version__ = "0.1.0"
