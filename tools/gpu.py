"""Prove and measure on a GPU what cannot be proven or measured without one.

    python tools/gpu.py --json docs/gpu.json --report docs/gpu.md
    python tools/gpu.py --parts tests counts --json gpu.json

tests: the tests that need a GPU, among them the message when its memory does not suffice.
counts: waits and kernels of a photo and of a training step, against Detectron2.
resume: a run that is killed with SIGKILL goes on where its last checkpoint was.
demo: the demo's model is trained to its AP. accuracy: what each precision changes of it.
benchmark: decoding, inference and training against Detectron2 and torchvision in one process.
r50: the R50-FPN model is trained from scratch.

Each part is a process of its own that ends after --part-seconds at the latest; what it has measured
until then is kept. The JSON is written after each part. Exit code 1 if one failed.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks is not installed

from pose_project.utils.cli import run_tool

PARTS = ("tests", "counts", "resume", "demo", "accuracy", "benchmark", "r50")


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to run"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="the result; parts of a file that is there stay"
    )
    parser.add_argument("--report", type=Path, metavar="PAGE.md", help="also write a page of it")
    parser.add_argument(
        "--device", default="cuda", choices=["cuda", "cpu"], help="cpu: to try the command itself"
    )
    parser.add_argument(
        "--small", action="store_true", help="a rehearsal with tiny photos and models"
    )
    parser.add_argument(
        "--seconds", type=float, default=1500, help="of all parts (default: %(default)s)"
    )
    parser.add_argument(
        "--part-seconds", type=float, default=480, help="of one part (default: %(default)s)"
    )
    parser.add_argument("--work", type=Path, help="keep runs and weights here")
    parser.add_argument("--commit", help="the code's commit, where it is not a git checkout")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    # late, since --help is answered without PyTorch
    from benchmarks.gpu_parts import run

    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
