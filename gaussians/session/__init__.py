"""Sessions: run directory, checkpoints, metrics, report, and the run that writes them."""
