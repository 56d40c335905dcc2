"""The photos of a folder in the order in which they are worth labelling, as files."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pose_project.data.image_reading import read_photo
from pose_project.extras.labelling.photos import look_at_photos
from pose_project.extras.labelling.ranking import Lesson, choose, lesson_of
from pose_project.extras.labelling.views import Candidate
from pose_project.inference import PosePredictor
from pose_project.inference.sources import Source
from pose_project.structures import KeypointSchema
from pose_project.structures.poses import Poses
from pose_project.utils.extras import find_extra
from pose_project.utils.files import atomic_path, write_text_atomic
from pose_project.visualization import PoseVisualizer

_ON_THE_SHEET = 40
_LEAST_PRESENCE = 0.2  # of people who are drawn
_COLUMNS = ("rank", "photo", "value", "pose_loss", "disagreement", "doubt", "novelty", "why")


@dataclass(frozen=True)
class RankedPhoto:
    """A photo and why it is where it is.

    Attributes:
        rank: from 1.
        source: the photo.
        lesson: what labelling it would teach.
        people: who is seen in it.
        novelty: how far its poses are from those before it, in 0-1; None after the chosen ones.
    """

    rank: int
    source: Source
    lesson: Lesson
    people: list[Candidate]
    novelty: float | None

    @property
    def is_chosen(self) -> bool:
        """Whether it is one of the photos to label next."""
        return self.novelty is not None

    @property
    def why(self) -> str:
        """The reasons in words."""
        return "; ".join(self.lesson.reasons) or "nothing that the model doubts"


def rank_photos(
    predictor: PosePredictor, sources: Sequence[Source], count: int
) -> list[RankedPhoto]:
    """Return all photos that can be read, those to label first.

    Args:
        predictor: of ``load_predictor``.
        sources: of ``find_photos``.
        count: how many are chosen for the variety of their poses as well.
    """
    seen = [(source, people) for source, _, people in look_at_photos(predictor, sources)]
    lessons = [lesson_of(people, predictor.schema) for _, people in seen]
    order: list[tuple[int, float | None]] = list(choose(lessons, count))
    chosen = {place for place, _ in order}
    others = [place for place in range(len(seen)) if place not in chosen]
    order += [(place, None) for place in sorted(others, key=lambda each: -lessons[each].value)]
    return [
        RankedPhoto(rank, seen[place][0], lessons[place], seen[place][1], novelty)
        for rank, (place, novelty) in enumerate(order, start=1)
    ]


def write_ranking(folder: Path, ranked: Sequence[RankedPhoto], schema: KeypointSchema) -> None:
    """Write ``ranking.csv``, ``chosen.txt`` and ``sheet.jpg`` into a folder, which is made.

    The sheet needs the extra ``pictures``.
    """
    chosen = [each for each in ranked if each.is_chosen]
    with (
        atomic_path(folder / "ranking.csv") as path,
        open(path, "w", encoding="utf-8", newline="") as stream,
    ):
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(_COLUMNS)
        for each in ranked:
            lesson = each.lesson
            parts = (lesson.value, lesson.pose_loss, lesson.disagreement, lesson.doubt)
            numbers = [f"{part:.3f}" for part in parts]
            novelty = "" if each.novelty is None else f"{each.novelty:.3f}"
            table.writerow([each.rank, each.source.name, *numbers, novelty, each.why])
    sheet = find_extra("pictures.sheet")
    if sheet is not None:
        picture = sheet.draw_sheet([_panel(each, schema) for each in chosen[:_ON_THE_SHEET]])
        _write_jpeg(folder / "sheet.jpg", picture)
    write_text_atomic(folder / "chosen.txt", "".join(f"{each.source.path}\n" for each in chosen))


def _write_jpeg(path: Path, picture_rgb: np.ndarray) -> None:
    encoded = cv2.imencode(".jpg", picture_rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _panel(ranked: RankedPhoto, schema: KeypointSchema) -> tuple[str, np.ndarray]:
    """Return a title and the photo with the people that the model sees, doubtful ones as well."""
    image = read_photo({"file_name": str(ranked.source.path)}, "RGB")
    people = [each for each in ranked.people if each.presence >= _LEAST_PRESENCE]
    poses = Poses(
        image.shape[:2],
        np.reshape([each.box for each in people], (-1, 4)).astype(np.float32),
        np.array([each.presence for each in people], np.float32),
        np.array([each.class_index for each in people], np.int64),
        np.reshape([e.keypoints for e in people], (-1, schema.num_keypoints, 3)).astype(np.float32),
    )
    visualizer = PoseVisualizer(image, schema, scale=1.0, score_threshold=0.0)
    drawn = visualizer.draw_instance_predictions(poses.to_instances()).get_image()
    lesson = ranked.lesson
    title = (
        f"{ranked.rank}  {Path(ranked.source.name).name}\npose {lesson.pose_loss:.1f}, views "
        f"{lesson.disagreement:.1f}, people {lesson.doubt:.1f}"
    )
    return title, drawn
