"""Settings of the whole test run."""

# Before anything imports torch or numba: sets how waiting kernel threads behave.
from hypothesis import settings

import gaussians  # noqa: F401 - imported for that

# Machines are shared, and the first example may compile a kernel: a deadline would test them, not us.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
