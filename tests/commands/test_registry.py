"""One registry: every command has help, options, a page and a tool, and is light to ask."""

import argparse
import importlib
import subprocess
import sys

import pytest
from detectron2.engine import default_argument_parser
from helpers.repository import ROOT, load_tool

from pose_project.commands import registry
from pose_project.commands.command_line import build_parser, main
from pose_project.commands.registry import Command, known_commands
from pose_project.extras.selective_search.search import MODES
from pose_project.utils.extras import find_extra

NAMES = list(known_commands())
TOOLS = {"train": "train_net"} | {
    name: name.replace("-", "_")
    for name in NAMES
    if name not in ("train", "evaluate", "models", "setup")
}


def options_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {option: action for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_options_and_a_page(name):
    command = known_commands()[name]
    module = importlib.import_module(command.module)
    text = build_parser(name).format_help()
    assert module.__doc__.splitlines()[0] in text
    assert f"\n    pose-project {name} " in text
    assert len(options_of(build_parser(name))) > len(("-h", "--help", "--debug"))
    (row,) = [
        line
        for line in (ROOT / "docs/commands.md").read_text().splitlines()
        if line.startswith(f"| `{name}` |")
    ]
    _, _, what, page, _ = (cell.strip() for cell in row.split("|"))
    assert what == command.help
    assert (ROOT / "docs" / page.partition("](")[2].removesuffix(")")).is_file()


@pytest.mark.parametrize(("name", "tool"), TOOLS.items())
def test_every_tool_is_its_command(name, tool):
    assert load_tool(tool).main.args == (name,)
    prog = f"python tools/{tool}.py"
    text = build_parser(name, prog).format_help()
    assert text.startswith(f"usage: {prog} ") and f"\n    {prog} " in text
    assert f"pose-project {name}" not in text


def test_help_imports_nothing_heavy():
    """PyTorch alone takes seconds; a page of help and a misspelt option do not wait for it."""
    program = (
        "import sys\n"
        "from pose_project.commands.command_line import build_parser\n"
        "from pose_project.commands.registry import known_commands\n"
        "texts = [build_parser(name).format_help() for name in known_commands()]\n"
        "print(len(texts), *(name for name in sys.argv[1:] if name in sys.modules))\n"
    )
    heavy = ["torch", "detectron2", "cv2", "numpy", "omegaconf", "matplotlib", "PIL"]
    command = [sys.executable, "-c", program, *heavy]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.split() == [str(len(NAMES))]


@pytest.mark.parametrize("tool", ["benchmark", "soak", "scaling", *TOOLS.values()])
def test_a_tool_imports_nothing_heavy(tool):
    program = (
        "import runpy, sys\n"
        "sys.argv = [sys.argv[1], '--help']\n"
        "try:\n"
        "    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    sys.exit(stop.code or 'torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(ROOT / "tools" / f"{tool}.py")]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)


def test_a_list_of_commands(capsys):
    assert main([]) == main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in known_commands().values():
        assert lines.count(f"  {command.name:21}  {command.help}") == 2


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("trian", "no command 'trian'; did you mean train?"),
        ("convert_weights", "did you mean convert-weights?"),
        ("qqq", "no command 'qqq'; there are train, evaluate, "),
        ("--config-file", "no command '--config-file'; there are "),
    ],
)
def test_a_wrong_command_is_one_line(capsys, typed, message):
    assert main([typed, "--output", "x"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line


def test_the_module_runs():
    command = [sys.executable, "-m", "pose_project", "doctor", "--help"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "\n    python -m pose_project doctor ANNOTATIONS.json --images DIR" in printed


def test_an_extra_that_was_removed_has_no_command(monkeypatch):
    gone = Command("gone", "pose_project.extras.gone.command", "not here")
    monkeypatch.setattr(registry, "_COMMANDS", (*registry._COMMANDS, gone))
    assert list(known_commands()) == NAMES
    assert find_extra("gone.command") is None
    assert find_extra("doctor.examination").log_findings


def test_training_has_the_options_of_detectron2():
    ours, theirs = options_of(build_parser("train")), options_of(default_argument_parser())
    for option, action in theirs.items():
        if option not in ("-h", "--help"):
            same = (action.dest, action.default, action.type, action.nargs)
            mine = ours[option]
            assert (mine.dest, mine.default, mine.type, mine.nargs) == same


def test_choices_are_those_of_the_code():
    assert options_of(build_parser("precompute-proposals"))["--mode"].choices == list(MODES)
