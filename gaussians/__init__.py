"""Splat Distillery's engine: scenes, rasterizer, training, distillation, files. Knows no window."""

import os

__version__ = "0.1.0"

# OpenMP threads that wait spin by default. Beside anything else that computes (a window, another program),
# a spinning thread holds the core that the other one needs: measured with both cores busy elsewhere, sorting
# took 0.8 ms instead of 147 ms. The libraries read this when they are loaded, so it is set before any is.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Some ten microseconds of it pay: steps of small models take a quarter less time on an idle machine. GNU's
# library leaves them out by itself where a process has more kernel threads than cores, as the studio has.
# What this costs beside one busy program: docs/performance.md.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
