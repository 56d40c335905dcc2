"""Train until the model gets its first batch, and end there: a process that is timed as a whole.

    python startup_child.py ours|detectron2 ANNOTATIONS.json PHOTOS OUTPUT_FOLDER

Run by its path, not as a part of the package, so that each side imports no more than it needs.
"""

import importlib.util
import os
import sys
from pathlib import Path

DATASET = "benchmark_startup"


def end_at_first_batch() -> None:
    """Let the model's first forward pass end the process."""
    from detectron2.modeling import GeneralizedRCNN

    GeneralizedRCNN.forward = lambda model, batch: os._exit(0)


def start_ours(json_file: str, image_root: str, output_dir: str) -> None:
    """Start ``tools/train_net.py`` with the 1x config."""
    from pose_project.data import register_keypoint_dataset

    end_at_first_batch()
    register_keypoint_dataset(DATASET, json_file, image_root)
    root = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location("train_net", root / "tools/train_net.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    config = str(root / "configs/keypoint_rcnn_R50_FPN_1x.py")
    overrides = {
        "dataloader.train.dataset.names": DATASET,
        "dataloader.test.dataset.names": DATASET,
        "dataloader.train.total_batch_size": 2,
        "dataloader.train.num_workers": 0,
        "train.init_checkpoint": "''",
        "train.device": "cpu",
        "train.output_dir": output_dir,
    }
    tool.main(["--config-file", config, *(f"{key}={value}" for key, value in overrides.items())])


def start_detectron2(json_file: str, image_root: str, output_dir: str) -> None:
    """Do what Detectron2's ``tools/train_net.py`` does, with the same config of its model zoo."""
    from detectron2 import model_zoo
    from detectron2.config import get_cfg
    from detectron2.data import MetadataCatalog
    from detectron2.data.datasets import register_coco_instances
    from detectron2.data.datasets.builtin_meta import (
        COCO_PERSON_KEYPOINT_FLIP_MAP,
        COCO_PERSON_KEYPOINT_NAMES,
    )
    from detectron2.engine import DefaultTrainer, default_argument_parser, default_setup

    end_at_first_batch()
    register_coco_instances(DATASET, {}, json_file, image_root)
    MetadataCatalog.get(DATASET).set(
        keypoint_names=COCO_PERSON_KEYPOINT_NAMES,
        keypoint_flip_map=COCO_PERSON_KEYPOINT_FLIP_MAP,
    )
    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml"))
    cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = (DATASET,)
    cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_WORKERS = 2, 0
    cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE, cfg.OUTPUT_DIR = "", "cpu", output_dir
    cfg.freeze()
    default_setup(cfg, default_argument_parser().parse_args([]))
    trainer = DefaultTrainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()


if __name__ == "__main__":
    side, *files = sys.argv[1:]
    {"ours": start_ours, "detectron2": start_detectron2}[side](*files)
    sys.exit("the first iteration was never reached")
