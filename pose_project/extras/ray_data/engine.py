"""The work of ``predict`` divided among the actors of a Ray cluster.

Each actor has the model, and takes some photos or shards at a time. What is found in each is
written by the actor, all at once, as without Ray: so work that an actor did not finish is done
again by another, without a loss or a double.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import cloudpickle

from pose_project.utils.errors import InputError, PoseError

_T = TypeVar("_T")
Worker = Callable[[Sequence[_T]], None]


def run_with_ray(
    make_worker: Callable[[], Worker[_T]], items: Sequence[_T], at_once: int, actors: int | None
) -> None:
    """Let actors do all items; those whose actor dies are done by another one.

    Ray's cluster is that of ``RAY_ADDRESS``, otherwise this machine. Its machines need a folder
    that they share, at the same path.

    Args:
        make_worker: called once in each actor; may be pickled.
        items: may be pickled.
        at_once: items that an actor is given at a time.
        actors: how many; None for one a GPU, without GPUs one a CPU.

    Raises:
        InputError: if Ray is not installed, or a worker refuses an item; the others are done.
        PoseError: if Ray fails.
    """
    ray = _start()
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    actors = actors or gpus or max(int(resources["CPU"]), 1)
    blocks = -(-len(items) // at_once)
    share = {"num_gpus": min(gpus / actors, 1)} if gpus else {"num_cpus": 1}
    rows = [{"item": cloudpickle.dumps(each)} for each in items]
    done = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
        _Actor,
        fn_constructor_args=(make_worker,),
        batch_size=at_once,
        concurrency=(1, min(actors, blocks)),
        **share,
    )
    try:
        reports = done.take_all()
    except ray.exceptions.RayError as error:
        raise PoseError(f"Ray: {' '.join(str(error).split())[:500]}") from error
    problems = [each["problem"] for each in reports if each["problem"]]
    if problems:
        raise InputError(problems[0])
    count = sum(each["done"] for each in reports)
    if count != len(items):
        raise PoseError(f"Ray reports {count} of {len(items)} files as done; start again")


class _Actor:
    def __init__(self, make_worker: Callable[[], Worker[Any]]) -> None:
        self.worker = make_worker()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return one row, how much is done: errors of ours would be wrapped by Ray."""
        try:
            self.worker([cloudpickle.loads(each) for each in batch["item"]])
        except PoseError as error:
            return {"done": [0], "problem": [str(error)]}
        return {"done": [len(batch["item"])], "problem": [""]}


def _start() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(f"--engine ray needs Ray: pip install 'ray[data]' ({error})") from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray
