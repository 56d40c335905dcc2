"""A few photos that show the findings, drawn for the page."""

from pathlib import Path

from pose_project.data.dataset_dicts import image_path
from pose_project.extras.doctor.check_categories import schema_of
from pose_project.extras.doctor.drawn_annotation import draw_annotation
from pose_project.extras.doctor.examination import Examination
from pose_project.extras.doctor.page import Example, choose_examples


def draw_examples(examination: Examination, image_root: Path | None) -> list[Example]:
    """Return photos with the annotations that findings name; none without photos."""
    if image_root is None or examination.dataset is None:
        return []
    dataset = examination.dataset
    examples = []
    for chosen in choose_examples(examination):
        category = dataset.categories.objects[dataset.category_of[chosen.annotation]]
        picture = draw_annotation(
            image_path(image_root, str(dataset.images.objects[chosen.photo]["file_name"])),
            dataset.annotations.objects[chosen.annotation],
            schema_of(category),
        )
        if picture is not None:
            examples.append(Example(chosen.code, chosen.label, picture))
    return examples
