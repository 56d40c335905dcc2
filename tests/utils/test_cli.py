import pytest
from torch.utils.data import DataLoader

from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError, TrainingInterrupted


def fail(error: BaseException):
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no\n  such thing"), 2, "error: no such thing\n"),
        (
            FileNotFoundError(2, "No such file", "a.jpg"),
            2,
            "error: [Errno 2] No such file: 'a.jpg'\n",
        ),
        (TrainingInterrupted("stopped", exit_code=143), 143, "stopped\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_exit_codes(capsys, error, code, line):
    assert run_tool(fail(error), debug=False) == code
    assert capsys.readouterr().err == line


def test_debug_shows_the_traceback(capsys):
    assert run_tool(fail(InputError("x")), debug=True) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_tool(fail(ZeroDivisionError()), debug=False)


class Broken:
    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise InputError("photo 7 is broken")


def test_an_error_in_a_worker_is_one_line_too(capsys):
    assert run_tool(lambda: list(DataLoader(Broken(), num_workers=1)), debug=False) == 2
    assert capsys.readouterr().err == "error: photo 7 is broken\n"
