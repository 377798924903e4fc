"""Threads: how many PyTorch uses, and work that runs side by side."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def configure_threads(threads: int) -> Executor | None:
    """Set the number of PyTorch's threads, and make an executor of two if there are several.

    Each of the two runs one direction of the LSTM, or one batch that is tagged. No operation is
    cut in two, so one, two and three threads give the same bits. From the fourth on, threads share
    the operations within a direction.
    """
    shared = max(1, threads // 2)
    torch.set_num_threads(shared)
    if threads == 1:
        return None
    # PyTorch keeps the setting by thread.
    return ThreadPoolExecutor(2, "worker", torch.set_num_threads, (shared,))


def parallel_map(
    executor: Executor | None, function: Callable[..., T], *arguments: Sequence[Any]
) -> list[T]:
    """Call a function with each of some arguments, on the threads of an executor if there is one.

    Returns:
        the results in the order of the arguments
    """
    return list((map if executor is None else executor.map)(function, *arguments))
