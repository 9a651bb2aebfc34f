"""Splat Distillery's engine: scenes, rasterizer, training, distillation, files. Knows no window."""

import os

from gaussians.allocation import keep_freed_memory

__version__ = "0.1.0"

# OpenMP runs PyTorch's threads, and the kernels' where there is no TBB. Those that wait spin by default.
# Beside anything else that computes (a window, another program), a spinning thread holds the core that the
# other one needs: measured with both cores busy elsewhere, sorting took 0.8 ms instead of 147 ms. The
# libraries read this when they are loaded, so it is set before any is.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Some ten microseconds of it pay on an idle machine: where OpenMP ran the kernels, steps of small models took
# a quarter less time than with none. (GNU's library alone reads this.)
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

keep_freed_memory()
