"""One process or many: Detectron2's ``launch``, or the processes that ``torchrun`` has started."""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import detectron2.engine
import torch
import torch.distributed as dist
from detectron2.utils import comm
from torch import nn
from torch.multiprocessing import ProcessExitedException
from torch.nn.parallel import DistributedDataParallel

from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError


def launch(run: Callable[[Namespace], None], arguments: Namespace) -> None:
    """Call ``run(arguments)`` in every process of the job.

    Under ``torchrun`` this process is one of them, with NCCL on GPUs and gloo on a CPU. Otherwise
    Detectron2 starts ``--num-gpus`` processes on each of ``--num-machines``.

    Args:
        run: must be importable by name where Detectron2 starts processes.
        arguments: of ``detectron2.engine.default_argument_parser``.

    Raises:
        InputError: if more GPUs are asked for than there are.
    """
    if dist.is_torchelastic_launched():
        _run_under_torchrun(run, arguments)
        return
    available = torch.cuda.device_count()
    if not 1 <= arguments.num_gpus <= max(available, 1):
        raise InputError(
            f"--num-gpus {arguments.num_gpus}, but this machine has {available} GPUs; for several "
            "processes on a CPU use torchrun --nproc-per-node N tools/train_net.py ..."
        )
    if arguments.num_gpus * arguments.num_machines == 1:
        run(arguments)
        return
    try:
        detectron2.engine.launch(
            partial(_run_spawned, run),
            arguments.num_gpus,
            num_machines=arguments.num_machines,
            machine_rank=arguments.machine_rank,
            dist_url=arguments.dist_url,
            args=(arguments,),
        )
    except ProcessExitedException as stopped:
        raise SystemExit(stopped.exit_code) from None


def _run_spawned(run: Callable[[Namespace], None], arguments: Namespace) -> None:
    # The parent would print the traceback of an exception; an exit code it passes on.
    code = run_tool(lambda: run(arguments), arguments.debug)
    if code:
        raise SystemExit(code)


def _run_under_torchrun(run: Callable[[Namespace], None], arguments: Namespace) -> None:
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        local_rank, available = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local_rank >= available:
            raise InputError(f"torchrun started more processes than the {available} GPUs here")
        torch.cuda.set_device(local_rank)
    # torchrun keeps one store over its restarts, in which the addresses of the processes that died
    # would be found again. With TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1, which a machine needs that is
    # replaced by another, each has its own store; and the machines count restarts differently.
    store, rank, world_size = next(dist.rendezvous("env://"))
    is_shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    attempt = dist.PrefixStore(f"attempt{_restarts() if is_shared else 0}", store)
    backend = "nccl" if on_gpu else "gloo"
    dist.init_process_group(backend, store=attempt, rank=rank, world_size=world_size)
    try:
        run(arguments)
    finally:
        dist.destroy_process_group()


def was_restarted() -> bool:
    """Return whether ``torchrun --max-restarts`` has started this process again after a failure."""
    return _restarts() > 0


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def distribute(model: nn.Module, device: str, ddp: Mapping[str, Any]) -> nn.Module:
    """Return the model wrapped in DistributedDataParallel, or as it is in a single process.

    Detectron2's ``create_ddp_model`` of release 0.6 names a GPU even where there is none.

    Args:
        model: on ``device``.
        device: this process's.
        ddp: further arguments of DistributedDataParallel.
    """
    if comm.get_world_size() == 1:
        return model
    on_gpu = torch.device(device).type == "cuda"
    device_ids = [torch.cuda.current_device()] if on_gpu else None
    return DistributedDataParallel(model, device_ids=device_ids, **ddp)


def synchronise_buffers(model: nn.Module) -> None:
    """Give every process the main process's buffers, such as BatchNorm's statistics.

    In training each process keeps its own; without this, an evaluation in parallel would be one of
    several slightly different models, and not of the one that is saved.
    """
    if comm.get_world_size() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)
