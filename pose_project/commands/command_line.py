"""``pose-project COMMAND ...``: finds the command, reads its options, runs it."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from pose_project.commands.options import parse
from pose_project.commands.registry import known_commands
from pose_project.utils.cli import EXIT_OK, EXIT_WRONG_INPUT, run_tool
from pose_project.utils.errors import did_you_mean


def main(argv: Sequence[str] | None = None, prog: str = "pose-project") -> int:
    """Run the command that a command line names and return its exit code.

    Without one the commands are listed. A wrong one is one line on stderr and exit code 2.

    Args:
        argv: the command and its options; those of the process if None.
        prog: how the user has called it, for the help.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview(prog))
        return EXIT_OK
    return run_command(argv[0], argv[1:], f"{prog} {argv[0]}")


def run_command(name: str, argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run one command and return its exit code, see :func:`pose_project.utils.cli.run_tool`.

    Args:
        name: of the registry.
        argv: its options; those of the process if None.
        prog: what stands before them on the command line.

    Raises:
        SystemExit: with code 2 for an option that is wrong, and with 0 after ``--help``.
    """
    commands = known_commands()
    if name not in commands:
        hint = did_you_mean(name, commands) or f"; there are {', '.join(commands)}"
        print(f"error: no command {name!r}{hint}", file=sys.stderr)
        return EXIT_WRONG_INPUT
    if sys.platform == "darwin":  # PyTorch reads it once, when it is imported
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    command = importlib.import_module(commands[name].module)
    parser = build_parser(name, prog)
    arguments = parse(parser, sys.argv[1:] if argv is None else argv)

    if not commands[name].is_bare:
        _start_logging()
    return run_tool(lambda: command.run(arguments), arguments.debug)


def _start_logging() -> None:
    # late, since --help is answered without PyTorch
    from detectron2.utils.logger import setup_logger
    from torch.distributed import is_torchelastic_launched

    rank = int(os.environ["RANK"]) if is_torchelastic_launched() else 0
    # the very call that every process of a training makes: the same call again adds no handler
    setup_logger(distributed_rank=rank, name="pose_project")


def build_parser(name: str, prog: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of a command; the examples of its help begin with ``prog``."""
    command = importlib.import_module(known_commands()[name].module)
    called = f"pose-project {name}"
    prog = prog or called
    parser = argparse.ArgumentParser(
        prog=prog,
        description=(command.__doc__ or "").replace(called, prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_options(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def _overview(prog: str) -> str:
    commands = known_commands()
    width = max(map(len, commands))
    lines = [f"  {each.name:{width}}  {each.help}" for each in commands.values()]
    return "\n".join([f"usage: {prog} COMMAND ...", "", *lines, "", f"{prog} COMMAND --help"])
