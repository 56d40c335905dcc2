"""From the command to the first pose: ``python -m benchmarks.first_pose --model NAME PHOTO``.

Compares whole processes, in turns: the command on a warm cache; ``import torch`` alone, and with
torchvision, which imports PyTorch's compiler; and what the model itself takes once everything is
imported, which is building it, reading its weights and one photo. The ratios are those of the
command to the sum of the model's time and one of the imports.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance

_OWN_TIME = """
import sys, time
from pose_project.data.image_reading import read_photo
from pose_project.extras.model_zoo.locating import locate_model
from pose_project.inference import PosePredictor
files = locate_model(sys.argv[1])
image = read_photo({"file_name": sys.argv[2]}, "BGR")
start = time.perf_counter()
PosePredictor.from_files(files.config_file, files.weights, ["train.device=cpu"])(image)
print(time.perf_counter() - start)
"""


def main() -> None:
    """Measure and print, or write, the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo")
    parser.add_argument("--model", required=True, help="a name or the folder of a run")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    imports = {"import_torch": "import torch", "import_torchvision": "import torchvision"}
    seconds: dict[str, list[float]] = {name: [] for name in ("command", "model", *imports)}
    for _ in range(arguments.rounds):
        seconds["command"].append(_command(arguments.model, arguments.photo))
        for name, program in imports.items():
            seconds[name].append(_process(["-c", program]))
        own = [sys.executable, "-c", _OWN_TIME, arguments.model, arguments.photo]
        printed = subprocess.run(own, capture_output=True, text=True, check=True).stdout
        seconds["model"].append(float(printed.split()[-1]))
    medians = {name: round(median(values), 2) for name, values in seconds.items()}
    ratios = {
        name: round(medians["command"] / (medians[name] + medians["model"]), 2) for name in imports
    }
    record = {"model": arguments.model, "rounds": arguments.rounds}
    record |= {"seconds": medians, "ratios": ratios}
    print(json.dumps(record))
    if arguments.json:
        write_text_atomic(
            arguments.json, json.dumps({**record, **collect_provenance()}, indent=2) + "\n"
        )


def _command(model: str, photo: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(photo).name
        copy.write_bytes(Path(photo).read_bytes())
        options = ["predict", str(copy), "--model", model, "--device", "cpu"]
        return _process(["-m", "pose_project", *options])


def _process(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
