"""List the published models that --model knows by name.

    pose-project models
    pose-project models --fetch torchvision_COCO_V1     so that it is there without a network

What they find, box and keypoint AP on COCO val2017 as their authors publish them, size and licence
of the weights, and whether they are in the cache.
"""

import argparse

from tabulate import tabulate

from pose_project.extras.model_zoo.named_models import DEFAULT, MODELS, find_model
from pose_project.extras.model_zoo.weights_cache import fetch_weights, is_cached, weights_path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what is fetched."""
    parser.add_argument("--fetch", metavar="NAME", help="bring its weights into the cache")


def run(arguments: argparse.Namespace) -> None:
    """Print the list, or where the weights are that were asked for."""
    if arguments.fetch:
        print(fetch_weights(find_model(arguments.fetch)))
        return
    rows = [
        (
            model.name,
            model.box_ap,
            model.keypoint_ap,
            f"{model.megabytes} MB",
            model.source,
            model.licence,
            "yes" if is_cached(model) else "no",
        )
        for model in MODELS.values()
    ]
    headers = ("name", "box AP", "keypoint AP", "size", "from", "licence", "in the cache")
    print(tabulate(rows, headers, floatfmt=".1f"))
    print(
        "\nAll find COCO's 17 keypoints of people. AP on COCO val2017 as published: MODEL_ZOO.md of"
    )
    print("Detectron2, KeypointRCNN_ResNet50_FPN_Weights of torchvision.")
    print(f"Without --model: {DEFAULT}. A folder of your own run is a name as well.")
    print(f"Weights are kept in {weights_path(MODELS[DEFAULT]).parents[4]}")
