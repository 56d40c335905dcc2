"""CUDA graphs: a function of tensors of fixed shapes, all of its kernels started by one call."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

_RUNS_BEFORE = 2  # let libraries choose their algorithms and allocate, which a capture must not see


class CapturedCall:
    """One function with inputs of fixed shapes, recorded once.

    Args:
        function: of tensors; waits for nothing, and depends on nothing but them and memory that
            stays where it is.
        inputs: an example; copied.
        pool: memory shared with other graphs.

    Raises:
        RuntimeError: if the function does what cannot be recorded.
    """

    def __init__(
        self, function: Callable[..., Any], inputs: Sequence[Tensor], pool: tuple[int, int]
    ) -> None:
        self.inputs = [each.clone() for each in inputs]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_RUNS_BEFORE):
                function(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        # other threads, such as a loader that pins memory, may go on meanwhile
        with torch.cuda.graph(self.graph, pool=pool, capture_error_mode="thread_local"):
            self.outputs = function(*self.inputs)

    def __call__(self, *inputs: Tensor) -> Any:
        """Return the outputs of the function; the next call overwrites them."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        self.graph.replay()
        return self.outputs


class GraphCache:
    """Graphs by what their shapes depend on; whatever has none runs as usual.

    A key that comes for the second time gets a graph, as long as there are fewer than ``most``. No
    graph is given up for another: photos of ever new sizes would record all the time.

    Args:
        most: graphs, over all functions that share this cache.
        is_on: whether to record at all.
    """

    def __init__(self, most: int, is_on: bool) -> None:
        self.most, self.is_on = most, is_on
        self.seen: Counter[Hashable] = Counter()
        self.calls: dict[Hashable, CapturedCall] = {}
        self.pool = torch.cuda.graph_pool_handle() if is_on else None

    def get(
        self, key: Hashable, function: Callable[..., Any], *inputs: Tensor
    ) -> Callable[..., Any]:
        """Return the graph of a function, or the function itself.

        Args:
            key: everything that shapes, and memory besides the inputs, depend on.
            function: see :class:`CapturedCall`.
            inputs: an example.
        """
        if not self.is_on or key in self.calls:
            return self.calls.get(key, function)
        self.seen[key] += 1
        if self.seen[key] < 2 or len(self.calls) >= self.most:
            return function
        try:
            self.calls[key] = CapturedCall(function, inputs, self.pool)
        except RuntimeError as error:
            self.is_on = False
            logger.warning("No CUDA graphs; every photo runs as usual: %s", error)
            return function
        return self.calls[key]
