"""How a run is organised: the keys of ``train``, explained in docs/settings.md."""

from dataclasses import asdict

from pose_project.config.train_settings import TrainSettings

train = asdict(TrainSettings())
