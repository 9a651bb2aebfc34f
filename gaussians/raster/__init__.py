"""Rasterization of 3-D Gaussians: one signature, two backends, one reference."""
