"""Freed memory stays with the process until it is given back: told by page faults and resident memory."""

import json
import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")

MEBIBYTE = 1 << 20
PAGE = 4096
SIZE = 48 * MEBIBYTE

# Takes and frees the same memory as training steps do; tells pages faulted in, held, and held at the end.
PROGRAM = f"""
import ctypes, json, resource
import gaussians
from gaussians.allocation import give_back_freed_memory

NO_HUGE_PAGES = 41  # PR_SET_THP_DISABLE: one of them would count as a single fault
ctypes.CDLL(None).prctl(NO_HUGE_PAGES, 1, 0, 0, 0)

def step():
    b'x' * {SIZE}

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1])

step()
before = faults()
for _ in range(10):
    step()
taken, held = faults() - before, resident()
give_back_freed_memory()
print(json.dumps([taken, held, resident()]))
"""


def told(**environment: str) -> list[int]:
    """What the program prints, with these variables set."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_what_a_step_frees_serves_the_next_one_and_can_be_given_back():
    taken, held, left = told()
    assert taken < SIZE / PAGE  # of ten times as many
    assert (held - left) * PAGE > 0.9 * SIZE


def test_settings_of_the_environment_stay():
    taken, _, _ = told(MALLOC_MMAP_THRESHOLD_=str(MEBIBYTE), MALLOC_TRIM_THRESHOLD_=str(MEBIBYTE))
    assert taken > 5 * SIZE / PAGE
