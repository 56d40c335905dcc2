"""Kill runs, damage checkpoints, fuzz parsers and watch memory, and write down what came of it.

    python tools/soak.py [--report FILE]

Bounded: 20 kills, 1,000 damaged checkpoints, 10,000 cases a parser, 50 a tool, 2,000 iterations;
at most twenty minutes on two cores. Exit code 1 if anything was lost.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks is not installed

from pose_project.utils.cli import run_tool

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [
    *(sys.executable, str(ROOT / "tools/train_net.py")),
    *("--config-file", str(ROOT / "configs/quick/synthetic.py")),
]
REPORT = """# Reliability

Written by `make soak`, at most twenty minutes on two cores; nothing here is typed by hand.

| what was done | how often | what came of it |
|---|---|---|
{rows}

Commit `{commit}`, {device}, torch {torch}, Detectron2 {detectron2}; {minutes:.0f} minutes.

- **Kills**: SIGKILL at random moments of a run that writes a checkpoint every other iteration,
  resumed each time. Its metrics and final weights are compared with a run that was left alone.
- **Damaged checkpoints**: the newest one is truncated or has one bit flipped; `--resume` has to
  take the one before.
- **Fuzzing**: annotations, `.pkl` and `.pth` weights, proposals, saved configs and metrics with
  values that do not belong there and with damaged bytes (`tests/fuzz`); each has to be read or
  refused in one line. Overrides get 1,000 cases, since the config is loaded anew for each. Tools
  get such files in processes of their own: training, evaluating, resuming and drawing have to end
  with exit code 0, or 2 and one line.
- **Memory**: resident memory of a training process over the second half of its iterations.
"""


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write a page of it here")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def soak(report: Path | None) -> int:
    """Run all parts; return 0 if nothing was lost, else 1."""
    # late, since --help is answered without PyTorch
    from benchmarks.soak import damage_checkpoints, fuzz, memory_slope, survive_kills
    from pose_project.utils.files import write_text_atomic
    from pose_project.utils.provenance import collect_provenance

    start = time.monotonic()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two lanes share the machine
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as lanes:
        folder = Path(name)
        runs = lanes.submit(
            lambda: (
                survive_kills(COMMAND, folder, kills=20, seed=0),
                memory_slope(COMMAND, folder / "memory", iterations=2000),
            )
        )
        inputs = lanes.submit(
            lambda: (
                damage_checkpoints(folder / "checkpoints", tries=1000, seed=0),
                fuzz(ROOT / "tests/fuzz/test_parsers.py", "POSE_PROJECT_FUZZ_CASES", 10_000),
                fuzz(ROOT / "tests/fuzz/test_tools.py", "POSE_PROJECT_FUZZ_CALLS", 50),
            )
        )
        (kills, memory), (damaged, fuzzed, tools) = runs.result(), inputs.result()
    exact = kills["rows_equal"] and kills["weights_equal"]
    table = [
        ("kills", kills["kills"], "metrics and weights equal" if exact else "**lost**"),
        ("damaged checkpoints", damaged["tries"], f"{damaged['fell_back']} fell back"),
        ("fuzzed cases a parser", fuzzed["cases"], fuzzed["summary"].strip("= ")),
        ("fuzzed calls a tool", tools["cases"], tools["summary"].strip("= ")),
        ("iterations", memory["iterations"], f"{memory['mb_per_1000']} MB more per 1,000"),
    ]
    rows = "\n".join(f"| {what} | {count:,} | {result} |" for what, count, result in table)
    print(rows)
    if report is not None:
        origin = collect_provenance()
        page = REPORT.format(
            rows=rows,
            commit=origin["git_commit"],
            device=origin["device"],
            torch=origin["versions"]["torch"],
            detectron2=origin["versions"]["detectron2"],
            minutes=(time.monotonic() - start) / 60,
        )
        write_text_atomic(report, page)
    all_kept = (
        exact and damaged["fell_back"] == damaged["tries"] and fuzzed["passed"] and tools["passed"]
    )
    return 0 if all_kept and memory["mb_per_1000"] < 1 else 1


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    logging.disable(logging.WARNING)  # a thousand checkpoints are damaged on purpose
    return run_tool(lambda: soak(arguments.report), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
