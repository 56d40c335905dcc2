"""Every command line that README and docs print is one that can be typed."""

import pytest
from helpers.printed_commands import printed_commands
from helpers.repository import ROOT, load_tool

from pose_project.commands.command_line import build_parser
from pose_project.commands.options import parse

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PRINTED = [
    pytest.param(name, words, id=f"{page.name}: {name} {' '.join(words)}")
    for page in PAGES
    for name, words in printed_commands(page.read_text())
]


@pytest.mark.parametrize(("name", "words"), PRINTED)
def test_a_command_line_parses(name, words):
    is_tool = (ROOT / "tools" / f"{name}.py").exists()
    module = load_tool(name) if is_tool else None
    if hasattr(module, "get_parser"):  # a tool that is not a command
        module.get_parser().parse_args(words)
    elif name != "onnx_example":
        parse(build_parser(module.main.args[0] if is_tool else name), words)


def test_lines_are_found():
    page = (
        '```\nM="--config-file c --weights w"\n'
        "$ OMP_NUM_THREADS=1 .venv/bin/python tools/predict.py $M \\\n    --input a  # here\n"
        "pose-project serve $M &\n"
        "torchrun --nproc-per-node 2 -m pose_project train a.b=1\n"
        "python tools/predict.py ... --input b\npython tools/export.py $X\n```\n"
    )
    model = ["--config-file", "c", "--weights", "w"]
    assert list(printed_commands(page)) == [
        ("predict", [*model, "--input", "a"]),
        ("serve", model),
        ("train", ["a.b=1"]),
    ]
    assert len(PRINTED) > 50
