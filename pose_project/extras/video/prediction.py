"""A video or a camera to poses with the numbers of their tracks, and to a drawn one."""

from contextlib import nullcontext
from dataclasses import replace

from tqdm import tqdm

from pose_project.extras.video.camera import CameraReader
from pose_project.extras.video.files import VideoReader, open_video
from pose_project.extras.video.tracking import PoseTracker
from pose_project.inference.finished_parts import Part
from pose_project.inference.predictor import PosePredictor
from pose_project.inference.run import Drawing, Sink, batches
from pose_project.inference.sources import Source
from pose_project.structures.poses import Poses


def predict_video(
    source: Source,
    predictor: PosePredictor,
    parts: Sink,
    drawing: Drawing | None,
    batch_size: int,
) -> None:
    """Predict a video, follow its people, draw it, and write its part.

    Args:
        source: a video or a camera.
        predictor: of the poses.
        parts: where the part goes.
        drawing: None to draw nothing.
        batch_size: frames that go through the model together.
    """
    is_live = source.camera is not None
    stamp = [] if is_live else source.stamp()
    tracker = PoseTracker(predictor.schema)
    reader = CameraReader(source.camera) if is_live else VideoReader(source.path)
    frames: list[Poses] = []
    seconds: list[float] = []
    target = open_video(drawing.path(source)) if drawing else nullcontext()
    with target as video, tqdm(disable=None, unit="frame", leave=False) as progress:
        for batch in batches(reader, 1 if is_live else batch_size):
            found = predictor.predict([frame.image for frame in batch])
            for frame, poses in zip(batch, found, strict=True):
                frames.append(replace(poses, track_ids=tracker.update(poses)))
                seconds.append(round(frame.seconds, 6))
                if drawing:
                    picture = drawing.draw(frame.image, frames[-1])
                    video.write(picture, frame.seconds)
                    if drawing.window:
                        drawing.window.show(picture, frame.seconds)
            progress.update(len(batch))
            if drawing and drawing.window and drawing.window.is_closed:
                break
    problem = f"{source.path} {reader.problem}" if reader.problem else None
    parts.write(source, stamp, Part(frames, seconds, problem))
