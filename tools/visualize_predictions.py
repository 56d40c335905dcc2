"""Draw what models find on the photos of a config's test dataset, beside the ground truth.

    python tools/visualize_predictions.py --config-file F --weights W --output DIR
    python tools/visualize_predictions.py --config-file F --weights W1 W2 --output DIR
    python tools/visualize_predictions.py --config-file F --weights W --heatmap left_wrist ...
    python tools/visualize_predictions.py ... train.inference.test_time.temperature=1.0

Writes one PNG a photo, named by its id: the ground truth, then a panel for each of the weights, and
with --heatmap one more for each with where it thinks that keypoint is. With the last line keypoints
have ellipses of one sigma. Several weights are of the same config.
"""

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from detectron2.config import instantiate
from detectron2.utils.logger import setup_logger
from tqdm import tqdm

from pose_project.data.image_reading import read_photo
from pose_project.engine import load_config
from pose_project.inference import PosePredictor, Poses
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path
from pose_project.visualization import PoseVisualizer
from pose_project.visualization.heatmap import overlay_heatmap
from pose_project.visualization.side_by_side import join_panels, panel_scale


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="of the models")
    parser.add_argument("--weights", required=True, nargs="+", metavar="W", help="checkpoints")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="for the PNGs")
    parser.add_argument("--heatmap", metavar="KEYPOINT", help="also draw where this one may be")
    parser.add_argument("--count", type=int, default=12, help="photos to draw (default: 12)")
    parser.add_argument(
        "--scale", type=float, help="pixels of a panel for each of the photo (default: 1 to 4)"
    )
    parser.add_argument(
        "--score-threshold", type=float, default=0.5, help="of people (default: 0.5)"
    )
    parser.add_argument(
        "--keypoint-threshold", type=float, default=0.05, help="of keypoints (default: 0.05)"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument("opts", nargs="*", metavar="key=value", help="overrides of the config")
    return parser


def draw(arguments: argparse.Namespace) -> None:
    """Write the pictures."""
    # argparse gives overrides that follow --weights to it
    weights = [each for each in arguments.weights if "=" not in each]
    overrides = [*(each for each in arguments.weights if "=" in each), *arguments.opts]
    check(arguments, weights)
    if arguments.heatmap:
        overrides.append("model.roi_heads.keypoint_head.keep_heatmaps=True")
    cfg = load_config(arguments.config_file, overrides)
    predictors = {title: PosePredictor(cfg, each) for title, each in titles_of(weights).items()}
    names = next(iter(predictors.values())).schema.names
    if arguments.heatmap and arguments.heatmap not in names:
        raise InputError(f"no keypoint {arguments.heatmap!r}; there are {', '.join(names)}")
    photos = [each for each in instantiate(cfg.dataloader.test.dataset) if each["annotations"]]
    photos = list(itertools.islice(photos, arguments.count))
    for photo in tqdm(photos, disable=None):
        picture = draw_photo(arguments, photo, predictors)
        with atomic_path(arguments.output / f"{photo['image_id']}.png") as temporary:
            temporary.write_bytes(cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes())
    print(f"{len(photos)} pictures in {arguments.output}")


def check(arguments: argparse.Namespace, weights: list[str]) -> None:
    """Refuse what cannot be drawn, before any model is loaded."""
    if not weights:
        raise InputError("--weights names no checkpoint")
    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, got {arguments.count}")
    if arguments.scale is not None and not 0.1 <= arguments.scale <= 16:
        raise InputError(f"--scale must be from 0.1 to 16, got {arguments.scale}")
    if arguments.output.exists() and not arguments.output.is_dir():
        raise InputError(f"--output {arguments.output} is a file")


def titles_of(weights: list[str]) -> dict[str, str]:
    """Return a title for each of the weights: as much of the path as tells them apart."""
    if len(weights) == 1:
        return {"prediction": weights[0]}
    if len(set(weights)) < len(weights):
        raise InputError("--weights names the same checkpoint twice")
    for length in itertools.count(1):
        titles = {"/".join(Path(each).with_suffix("").parts[-length:]): each for each in weights}
        if len(titles) == len(weights):
            return titles
    raise AssertionError("different paths differ somewhere")


def draw_photo(
    arguments: argparse.Namespace, photo: dict[str, Any], predictors: dict[str, PosePredictor]
) -> np.ndarray:
    """Return (H', W', 3) RGB: all panels of a photo."""
    image = read_photo(dict(photo), "RGB")
    scale = arguments.scale or panel_scale(image)
    schema = next(iter(predictors.values())).schema
    truth = PoseVisualizer(image, schema, scale).draw_dataset_dict(photo)
    panels = {"ground truth": truth.get_image()}
    for title, predictor in predictors.items():
        poses = predictor(np.ascontiguousarray(image[:, :, ::-1]))
        canvas = PoseVisualizer(
            image, schema, scale, arguments.score_threshold, arguments.keypoint_threshold
        )
        panels[title] = canvas.draw_instance_predictions(poses.to_instances()).get_image()
        if arguments.heatmap:
            best = poses.above(arguments.score_threshold)
            size = panels[title].shape[:2]
            panels[f"{title}: {arguments.heatmap}"] = draw_heatmap(
                image, best, schema.names.index(arguments.heatmap), scale, size
            )
    return join_panels(panels)


def draw_heatmap(
    image: np.ndarray, poses: Poses, keypoint: int, scale: float, size_hw: tuple[int, int]
) -> np.ndarray:
    """Return a keypoint's heatmaps over the photo, of the other panels' size."""
    drawn = overlay_heatmap(image, poses.boxes, poses.heatmaps[:, keypoint], scale)
    return drawn if drawn.shape[:2] == size_hw else cv2.resize(drawn, size_hw[::-1])


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    return run_tool(lambda: draw(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
