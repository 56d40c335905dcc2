import signal

import pytest

from pose_project.utils.errors import TrainingInterrupted


@pytest.mark.integration
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_iteration_saves_and_stops(start, tmp_path, number, exit_code):
    trainer = start("train.checkpointer.period=0")
    before = signal.getsignal(number)
    run_step = trainer.run_step

    def signalled() -> None:
        if trainer.iter == 2:
            signal.raise_signal(number)
        run_step()

    trainer.run_step = signalled
    with pytest.raises(TrainingInterrupted, match="after iteration 2.*--resume") as stopped:
        trainer.train()
    assert stopped.value.exit_code == exit_code
    assert (tmp_path / "run" / "last_checkpoint").read_text() == "model_0000002.pth"
    assert signal.getsignal(number) == before
    assert start(resume=True).start_iter == 3


def test_a_second_interrupt_stops_at_once(start, tmp_path):
    trainer = start("train.checkpointer.period=0")

    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    trainer.run_step = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert not (tmp_path / "run" / "last_checkpoint").exists()


def test_under_torchrun_the_same_signal_comes_twice(start, tmp_path, monkeypatch):
    """From the terminal or scheduler, and from torchrun, which passes its own on."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    trainer = start("train.checkpointer.period=0")
    run_step = trainer.run_step

    def signalled() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        run_step()

    trainer.run_step = signalled
    with pytest.raises(TrainingInterrupted, match="after iteration 0"):
        trainer.train()
    assert (tmp_path / "run" / "last_checkpoint").read_text() == "model_0000000.pth"
