"""One process or many: Detectron2's ``launch``, or the processes that ``torchrun`` has started."""

import os
from argparse import Namespace
from collections.abc import Callable
from functools import partial

import detectron2.engine
import torch
import torch.distributed as dist
from torch.multiprocessing import ProcessExitedException

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
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        run(arguments)
    finally:
        dist.destroy_process_group()
