"""The JSON answer, documented in the OpenAPI document."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from pose_project.structures import KeypointSchema
from pose_project.structures.poses import Poses


class Keypoint(BaseModel):
    """A keypoint of a person."""

    name: str
    x: float = Field(description="pixels from the left edge; pixel i covers [i, i + 1)")
    y: float = Field(description="pixels from the upper edge")
    score: float = Field(description="higher is surer; a probability if the server says so")
    covariance: list[list[float]] | None = Field(
        description="[[xx, xy], [xy, yy]] in square pixels; null if not asked of the server"
    )


class Person(BaseModel):
    """A person, or whatever else the model finds."""

    category: int = Field(description="index into categories")
    box: list[float] = Field(description="[left, top, right, bottom] in pixels")
    score: float = Field(description="0 to 1, of the detector")
    keypoints: list[Keypoint] = Field(description="in the order of the category's keypoints")


class Category(BaseModel):
    """What is found."""

    name: str
    keypoints: list[str]
    skeleton: list[tuple[int, int]] = Field(description="lines to draw, as indices of keypoints")


class PosesAnswer(BaseModel):
    """Everything found in a photo, the best first."""

    width: int = Field(description="of the photo, turned as its EXIF data say")
    height: int
    categories: list[Category]
    people: list[Person]
    seconds: float = Field(description="from the end of the upload to the answer")


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str


def describe_categories(
    categories: Sequence[dict[str, Any]], schema: KeypointSchema
) -> list[Category]:
    """Return what the model finds, in the order of its classes."""
    own = [each for _, each in schema.categories] or [schema] * len(categories)
    return [
        Category(
            name=str(category["name"]),
            keypoints=list(each.names),
            skeleton=[(a, b) for a, b in each.skeleton_indices],
        )
        for category, each in zip(categories, own, strict=True)
    ]


def describe_poses(
    poses: Poses, categories: list[Category], schema: KeypointSchema, seconds: float
) -> PosesAnswer:
    """Return a photo's poses as the answer; of a category with keypoints of its own only these."""
    height, width = poses.image_size_hw
    people = []
    for index, class_index in enumerate(poses.classes.tolist()):
        category = categories[class_index]
        rows = schema.class_rows(class_index)
        people.append(
            Person(
                category=class_index,
                box=[round(side, 3) for side in poses.boxes[index].tolist()],
                score=round(float(poses.scores[index]), 6),
                keypoints=[
                    _describe_keypoint(poses, index, row, name)
                    for row, name in zip(rows, category.keypoints, strict=True)
                ],
            )
        )
    return PosesAnswer(
        width=width, height=height, categories=categories, people=people, seconds=round(seconds, 4)
    )


def _describe_keypoint(poses: Poses, person: int, row: int, name: str) -> Keypoint:
    x, y, score = poses.keypoints[person, row].tolist()
    covariance = None
    if poses.covariances is not None:
        covariance = [
            [round(value, 4) for value in line] for line in poses.covariances[person, row].tolist()
        ]
    return Keypoint(
        name=name, x=round(x, 3), y=round(y, 3), score=round(score, 6), covariance=covariance
    )
