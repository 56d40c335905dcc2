"""How long a schedule takes on n GPUs: measured seconds of one GPU, and a model of communication.

DistributedDataParallel sums gradients over all processes by ring all-reduce while the backward pass
still runs (Li et al., PyTorch Distributed, VLDB 2020, sections 3.2.3 and 4.2).
"""

from dataclasses import dataclass

BACKWARD_SHARE = 2 / 3
"""Of an iteration's computing: the backward pass costs about twice the forward pass."""
LAST_BUCKET_MB = 25
"""Gradients that are ready only at the end, so that their sum is not hidden: DDP's bucket size."""
BYTES_PER_GRADIENT = 4


@dataclass(frozen=True)
class Estimate:
    """What a schedule costs on some GPUs.

    Args:
        gpus: how many.
        iteration_s: seconds of an iteration.
        images_per_s: of all GPUs together.
        hours: of the whole schedule.
        efficiency: speed over that of one GPU times their number, in (0, 1].
    """

    gpus: int
    iteration_s: float
    images_per_s: float
    hours: float
    efficiency: float


def all_reduce_seconds(num_bytes: float, gpus: int, bandwidth: float, latency: float) -> float:
    """Return the time of a ring all-reduce.

    Each GPU sends and receives 2 (n - 1) parts of 1 / n of the data, one after the other (Patarasu
    and Yuan, JPDC 2009, section 3).

    Args:
        num_bytes: of the data that every GPU holds.
        gpus: n.
        bandwidth: bytes per second of the slowest link in the ring.
        latency: seconds of one message.
    """
    return 2 * (gpus - 1) * (num_bytes / gpus / bandwidth + latency)


def estimate(
    image_s: float,
    total_batch_size: int,
    iterations: int,
    num_parameters: int,
    gpus: int,
    bandwidth: float,
    latency: float = 2e-5,
) -> Estimate:
    """Return what a schedule costs on ``gpus`` GPUs that share its batches.

    Args:
        image_s: measured seconds of one training photo on one GPU, forward, backward and update.
        total_batch_size: photos of an iteration over all GPUs.
        iterations: of the schedule.
        num_parameters: that are trained.
        gpus: each gets ``total_batch_size / gpus`` photos.
        bandwidth: between GPUs, bytes per second.
        latency: seconds of one message.
    """
    compute = image_s * total_batch_size / gpus
    gradients = num_parameters * BYTES_PER_GRADIENT
    summing = all_reduce_seconds(gradients, gpus, bandwidth, latency)
    hidden = min(BACKWARD_SHARE * compute, summing * (1 - LAST_BUCKET_MB * 1e6 / gradients))
    iteration_s = compute + summing - hidden
    return Estimate(
        gpus=gpus,
        iteration_s=iteration_s,
        images_per_s=total_batch_size / iteration_s,
        hours=iterations * iteration_s / 3600,
        efficiency=compute / iteration_s,
    )
