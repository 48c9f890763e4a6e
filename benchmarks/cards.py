"""Cards, and what is assumed of a machine that has one. Nothing here was measured on a GPU."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """One GPU of the H100 class and what is assumed of it."""

    flops: float = 989e12
    """Dense bfloat16."""
    bandwidth: float = 3.35e12
    memory: float = 80e9
    flops_used: float = 0.4
    """Share of the FLOPs that matrix products reach."""
    bandwidth_used: float = 0.6
    memory_used: float = 0.8
    block_overhead: float = 0.25e-3
    """Seconds in which Python starts one block's kernels, about 50 at 5 microseconds; nothing with CUDA graphs."""
    start: float = 30.0
    """Seconds to start a worker: imports, the connection, the concept vectors."""
    loading: float = 1e9
    """Bytes a second in which a worker reads weights."""
    graded: float = 0.5e-3
    """Seconds in which a worker's rules grade an answer."""
    written: float = 11500.0
    """Trials a second that the one writer stores, for all GPUs together."""

    def seconds(self, flops: float, read: float) -> float:
        """Return the time of work that is bound by arithmetic or by memory, whichever is longer."""
        return max(flops / (self.flops * self.flops_used), read / (self.bandwidth * self.bandwidth_used))


CARDS = {
    "24 GB (RTX 4090)": Machine(flops=165e12, bandwidth=1.008e12, memory=24e9),
    "40 GB (A100)": Machine(flops=312e12, bandwidth=1.555e12, memory=40e9),
    "80 GB (H100)": Machine(),
    "141 GB (H200)": Machine(bandwidth=4.8e12, memory=141e9),
}
"""Cards by the vendors' data sheets: dense bfloat16 products that add up in float32, and the memory's bandwidth."""
