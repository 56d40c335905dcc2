"""Options and overrides in any order, and every command line that was ever printed."""

from pathlib import Path

import pytest
from helpers.repository import load_tool
from hypothesis import given
from hypothesis import strategies as st

from pose_project.commands.command_line import build_parser
from pose_project.commands.options import parse, read_config
from pose_project.commands.registry import known_commands
from pose_project.utils.errors import InputError

PRINTED = (Path(__file__).parent / "printed_before.txt").read_text().splitlines()
OVERRIDES = ["train.max_iter=5", "a.b='x y=z'", "a.0.c=[1,2]", "train.max_iter=6"]
RENAMED = {"--from": "source", "--to": "target"}
PREDICT = [
    ["--config-file", "c.py"],
    ["--weights", "a=1.pth"],
    ["--input", "x.jpg", "./y=1.jpg", "https://z/?q=1", "-"],
    ["--output", "o=1"],
    ["--save-json"],
    ["--batch-size", "2"],
]


@given(st.permutations(PREDICT), st.lists(st.integers(0, len(PREDICT)), min_size=4, max_size=4))
def test_overrides_stand_anywhere(groups, places):
    """Also behind an option with several values, and their order is kept."""
    argv = []
    for index in range(len(groups) + 1):
        argv += [OVERRIDES[i] for i in range(4) if sorted(places)[i] == index]
        argv += groups[index] if index < len(groups) else []
    arguments = parse(build_parser("predict"), argv)
    assert arguments.opts == OVERRIDES
    assert arguments.input == ["x.jpg", "./y=1.jpg", "https://z/?q=1", "-"]
    assert (arguments.weights, str(arguments.output)) == ("a=1.pth", "o=1")
    assert arguments.save_json and arguments.batch_size == 2


def test_flags_may_follow_overrides():
    argv = ["--config-file", "F", "train.max_iter=5", "--resume", "train.seed=1", "--num-gpus", "2"]
    arguments = parse(build_parser("train"), argv)
    assert arguments.opts == ["train.max_iter=5", "train.seed=1"]
    assert arguments.resume and arguments.num_gpus == 2


def test_a_file_that_looks_like_an_override_is_one_if_it_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b.jpg").touch()
    model = ["--config-file", "c", "--weights", "w", "--output", "o"]
    arguments = parse(build_parser("predict"), [*model, "--input", "a=b.jpg", "a.b=c"])
    assert (arguments.input, arguments.opts) == (["a=b.jpg"], ["a.b=c"])


def test_an_option_that_is_left_without_a_value(capsys):
    model = ["--config-file", "c", "--weights", "w", "--output", "o"]
    with pytest.raises(SystemExit) as stopped:
        parse(build_parser("predict"), [*model, "--input", "train.device=cpu"])
    assert stopped.value.code == 2
    assert "argument --input: expected at least one argument" in capsys.readouterr().err


def test_what_is_no_override_is_named():
    arguments = parse(build_parser("train"), ["--config-file", "configs/quick/synthetic.py", "go"])
    with pytest.raises(InputError, match="'go' is not an override; write key=value"):
        read_config(arguments)


@pytest.mark.parametrize("name", known_commands())
def test_options_with_several_values_are_texts(name):
    """Only from texts can overrides be told apart."""
    several = [each for each in build_parser(name)._actions if each.nargs in ("+", "*")]
    assert all(each.type is None for each in several)


def test_the_device_is_that_of_the_config():
    config = ["--config-file", "configs/quick/synthetic.py"]
    arguments = parse(build_parser("train"), [*config, "train.device=cuda", "--device", "cpu"])
    assert read_config(arguments).train.device == "cpu"


@pytest.mark.parametrize("line", PRINTED)
def test_command_lines_of_earlier_pages_still_parse(line):
    """Those of the README and docs before there was one door."""
    tool, *argv = line.split()
    module = load_tool(tool)
    if hasattr(module, "get_parser"):  # a tool that is not a command
        module.get_parser().parse_args(argv)
        return
    arguments = parse(build_parser(*module.main.args), argv)
    assert getattr(arguments, "opts", []) == [each for each in argv if "=" in each]
    values = vars(arguments)
    for option in (each for each in argv if each.startswith("--")):
        name = RENAMED.get(option, option.removeprefix("--").replace("-", "_"))
        assert values[name] is not None and values[name] is not False
