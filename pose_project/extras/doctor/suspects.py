"""Labels that a model contradicts, as ``find-label-errors`` lists them, drawn for the page."""

from pathlib import Path
from typing import NamedTuple

from pose_project.data.dataset_dicts import image_path
from pose_project.data.filling import fill_annotation
from pose_project.extras.doctor.check_categories import schema_of
from pose_project.extras.doctor.drawn_annotation import draw_annotation
from pose_project.extras.doctor.examination import Examination
from pose_project.extras.doctor.findings import printable
from pose_project.extras.doctor.page import Example
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import read_json


class Suspect(NamedTuple):
    """A label that is likely to be wrong.

    Args:
        caption: which, how likely and why.
        pictures: the label as it is, and the person as the model sees it; what could be drawn.
    """

    caption: str
    pictures: tuple[Example, ...]


def read_suspects(path: Path, examination: Examination, image_root: Path) -> list[Suspect]:
    """Return the suspects of a file with their pictures, in its order.

    Args:
        path: written by ``find-label-errors``.
        examination: of the annotations that they belong to.
        image_root: folder of the photos.

    Raises:
        InputError: if the file is not such a list, or names what is not there.
    """
    content = read_json(path)
    listed = content.get("suspects") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise InputError(f"--suspects {path} is not a list that find-label-errors has written")
    dataset = examination.dataset
    if dataset is None:
        return []
    photos = {each.get("id"): each for each in dataset.images.objects}
    labels = {each.get("id"): each for each in dataset.annotations.objects}
    categories = {each.get("id"): each for each in dataset.categories.objects}
    schemas = {id_: schema_of(each) for id_, each in categories.items()}
    suspects = []
    for each in listed:
        try:
            photo = photos[each["image_id"]]
            label = None if each["annotation_id"] is None else labels[each["annotation_id"]]
            who = "nobody" if label is None else f"annotation {each['annotation_id']}"
            caption = f"{each['score']:.2f}: {who}, {photo['file_name']}: {each['why']}"
            # somebody missing has the category of the first with keypoints
            schema = next(filter(None, schemas.values()), None)
            if label is not None:
                schema = schemas[label["category_id"]]
                # with the box that loading gives it
                label, _ = fill_annotation(label, schema.num_keypoints if schema else 0, None)
            shown = (("as labelled", label), ("as the model sees it", each["seen"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"--suspects {path} does not belong to {examination.report.path}: {error!r}"
            ) from error
        file = image_path(image_root, str(photo["file_name"]))
        drawn = [
            (title, draw_annotation(file, annotation, schema))
            for title, annotation in shown
            if annotation is not None
        ]
        pictures = [Example(each["code"], title, data) for title, data in drawn if data]
        suspects.append(Suspect(printable(caption), tuple(pictures)))
    return suspects
