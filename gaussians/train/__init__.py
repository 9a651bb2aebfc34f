"""Training: one optimisation, its losses, refinement and metrics."""
