"""The processes that torchrun starts for one run, and what they tell each other.

One process is the usual case: then nothing here communicates, and torch.distributed isn't set up.
"""

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from gaussians.errors import RanksError

if TYPE_CHECKING:
    from torch import Tensor  # main asks for `launched` before it knows whether PyTorch is wanted

Item = TypeVar("Item")

# Ranks wait for each other's teachers, which may take as long; who dies is noticed at once by its connection,
# so that only a machine that vanishes from the network takes this long to be missed.
_MEETING = timedelta(days=1)
# Of the beginning, and of steps, which are short; between two of them rank 0 may write a checkpoint.
_STEP = timedelta(minutes=10)


@dataclass(frozen=True)
class Ranks:
    """This process among those that work together.

    Every method but `share` is to be called by all of them, in the same order.

    Attributes:
        rank: of this process, from 0, which leads: it owns the run's directory.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1
    _words: Any = None  # process groups, for what `tell`, `any`, and the methods on tensors exchange
    _flags: Any = None
    _numbers: Any = None

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Those of the items that fall to this rank: each to one, in turn."""
        return items[self.rank :: self.count]

    def tell(self, value: Any) -> list[Any]:
        """Every rank's value, by rank; returns when all have told theirs. Raises RanksError."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        told: list[Any] = [None] * self.count
        with self._one_line():
            dist.all_gather_object(told, value, group=self._words)
        return told

    def any(self, flag: bool) -> bool:
        """Whether any rank's flag is set: a quick `tell`; a team's waits ten minutes. Raises RanksError."""
        if self.count == 1:
            return flag
        import torch
        import torch.distributed as dist

        number = torch.tensor(int(flag))
        with self._one_line():
            dist.all_reduce(number, group=self._flags)
        return bool(number)

    def add(self, tensors: Sequence["Tensor"]) -> None:
        """Replace each tensor, in place, by its sum over the ranks, the same on all. Raises RanksError.

        Tensors of one type travel together: each journey has its own delay.
        """
        if self.count == 1:
            return
        import torch
        import torch.distributed as dist

        for kind in dict.fromkeys(tensor.dtype for tensor in tensors):
            alike = [tensor for tensor in tensors if tensor.dtype == kind]
            parcel = torch.cat([tensor.reshape(-1) for tensor in alike])
            with self._one_line():
                dist.all_reduce(parcel, group=self._numbers)
            parts = parcel.split([tensor.numel() for tensor in alike])
            for tensor, part in zip(alike, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def copy(self, tensors: Sequence["Tensor"]) -> None:
        """Replace each tensor, in place, by rank 0's. Raises RanksError."""
        if self.count == 1:
            return
        import torch.distributed as dist

        with self._one_line():
            for tensor in tensors:
                dist.broadcast(tensor, group=self._numbers, group_src=0)

    def each(self, items: Iterable[Item], compute: Callable[[Item], "Tensor"]) -> Iterator["Tensor"]:
        """`compute` of each item, in their order, on all ranks; each item is computed on one of them.

        What is added up from them has the same bits on any number of ranks. Every rank takes all items one by
        one, so that taking one may draw random numbers.

        Raises:
            RanksError: as `tell`.
        """
        if self.count == 1:
            yield from map(compute, items)
            return
        import torch
        import torch.distributed as dist

        left = iter(items)
        while group := list(itertools.islice(left, self.count)):
            # Of the last ones there may be fewer than ranks: who has none computes one that isn't used.
            own = compute(group[min(self.rank, len(group) - 1)]).contiguous()
            parts = [torch.empty_like(own) for _ in range(self.count)]
            with self._one_line():
                dist.all_gather(parts, own, group=self._numbers)
            yield from parts[: len(group)]

    def team(self, most: int, device: str) -> "Ranks | None":
        """The first `most` ranks, which may then also exchange tensors on `device`; None on the others.

        To be called by all ranks, whether they will belong to it or not.

        Args:
            most: at least 1.
            device: "cpu" or "cuda".

        Raises:
            RanksError: as `tell`.
        """
        size = min(most, self.count)
        if size == 1:
            return ALONE if self.leads else None
        import torch.distributed as dist

        members = list(range(size))
        with self._one_line():
            words = dist.new_group(members, timeout=_MEETING, backend="gloo")
            flags = dist.new_group(members, timeout=_STEP, backend="gloo")
            numbers = dist.new_group(members, timeout=_STEP, backend="nccl") if device == "cuda" else flags
        return Ranks(self.rank, size, words, flags, numbers) if self.rank < size else None

    @contextlib.contextmanager
    def _one_line(self) -> Iterator[None]:
        """Within: the other ranks are waited for; raises RanksError when one is gone."""
        try:
            yield
        except RuntimeError as error:  # also what a timeout and a closed connection are
            raise RanksError(
                f"rank {self.rank}: another process of this run has ended, see its own message; "
                "what was saved is safe: start all of them again, with --resume"
            ) from error


ALONE = Ranks()
"""The only process of a run."""


def launched() -> int:
    """How many processes torchrun has started for this command; 1: this one, by torchrun or not."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys():
        return 1  # WORLD_SIZE alone is also set by others, as by batch systems
    return int(os.environ["WORLD_SIZE"])


def launched_rank() -> int:
    """This process's number among them."""
    return int(os.environ["RANK"]) if launched() > 1 else 0


def local_place() -> tuple[int, int]:
    """This process's number among those on its machine, and how many they are."""
    count = int(os.environ.get("LOCAL_WORLD_SIZE", launched()))
    return int(os.environ.get("LOCAL_RANK", launched_rank())), count


def joined() -> Ranks:
    """The processes that torchrun has started, which know each other from here on, to their end (`leave`).

    Raises:
        RanksError: they don't find each other.
    """
    import torch.distributed as dist

    rank = launched_rank()
    try:
        dist.init_process_group("gloo", timeout=_STEP)
        words = dist.new_group(timeout=_MEETING)
    except (RuntimeError, ValueError) as error:
        raise RanksError(f"rank {rank}: the processes don't find each other ({error})") from error
    return Ranks(rank, launched(), words, words)


def leave(code: int) -> NoReturn:
    """End the process.

    One of several ends at once, connections and all. To take them apart while others still work, or after
    a failure, has been seen to abort a process that had done its part, once in some twenty times.
    """
    if launched() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
