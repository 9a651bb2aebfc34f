"""Splat Distillery. `python main.py --help` lists the commands."""

import sys

import app
from gaussians.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], app.run if app.has_display() else None))
