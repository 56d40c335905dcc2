"""Annotation files are read once; an image passes few files to the loss, and to its drawing."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from detectron2.data import MetadataCatalog
from detectron2.utils.events import EventStorage
from helpers.runs import CONFIG, EVERYTHING

import pose_project
from pose_project.config.building import build
from pose_project.data import annotation_files as module
from pose_project.data import get_dataset_dicts
from pose_project.engine import PoseTrainer
from pose_project.inference import PosePredictor

_opened: Counter[str] = Counter()
_PACKAGE = Path(pose_project.__file__).parent


@contextmanager
def counted_reads() -> Iterator[Counter[str]]:
    """Count by path how often files are opened; hooks cannot be removed, so there is one."""
    if not hasattr(counted_reads, "is_hooked"):
        sys.addaudithook(lambda event, args: event == "open" and _opened.update([str(args[0])]))
        counted_reads.is_hooked = True
    _opened.clear()
    yield _opened


def forget_what_was_read() -> None:
    """Also what a run of another test holds."""
    for kept in (module._recent, module._alive, module._categories):
        kept.clear()


def files_run(work: Callable[[], object]) -> set[str]:
    """Return the files of the package of which a function runs."""
    found: set[str] = set()

    def note(frame, event, argument) -> None:
        code = frame.f_code
        if code.co_name != "<module>" and code.co_filename.startswith(str(_PACKAGE)):
            found.add(str(Path(code.co_filename).relative_to(_PACKAGE)))

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def without(files: set[str], *folders: str) -> set[str]:
    return {each for each in files if not each.startswith(folders)}


def test_a_run_with_evaluations_reads_each_annotation_file_once(start):
    names = ("synthetic_demo_train_12", "synthetic_demo_val_5")
    for name in names:
        get_dataset_dicts(name)  # made if they are not there
    forget_what_was_read()
    files = [MetadataCatalog.get(name).json_file for name in names]
    with counted_reads() as opened:
        start("train.eval_period=3", "train.validation_loss=True").train()
    assert [opened[file] for file in files] == [1, 1]


def test_files_from_json_to_loss(tiny_config):
    cfg = tiny_config()
    get_dataset_dicts(cfg.dataloader.train.dataset.names)
    model = PoseTrainer.build_model(cfg)
    forget_what_was_read()

    def work() -> None:
        batch = next(iter(build(cfg, "dataloader.train")))
        with EventStorage(0):
            model(batch)

    files = files_run(work)
    assert {"data/annotation_files.py", "data/mapper.py", "modeling/keypoint_head.py"} <= files
    assert len(without(files, "config", "utils")) <= 18


def test_files_from_a_photo_to_its_drawing(weights, photos, tmp_path):
    predictor = PosePredictor.from_files(CONFIG, str(weights), EVERYTHING)
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), photos[0])
    files = files_run(lambda: predictor(photo).draw())
    assert {"data/image_reading.py", "visualization/pose_visualizer.py"} <= files
    assert len(without(files, "config", "utils", "extras")) <= 12
