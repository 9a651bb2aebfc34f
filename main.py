"""Splat Distillery. `python main.py --help` lists the commands."""

import sys

import app
from gaussians.cli import main
from gaussians.ranks import leave

if __name__ == "__main__":
    leave(main(sys.argv[1:], app.run if app.has_display() else None))
