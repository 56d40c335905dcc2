"""What must not be in the code, since Windows and macOS have other defaults and fewer functions."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.annotations import person
from helpers.repository import ROOT

from pose_project.commands.command_line import main
from pose_project.data import get_dataset_dicts
from pose_project.inference.outputs import ImageIds
from pose_project.inference.sources import Source
from pose_project.utils.files import file_name_of

# Modules and functions that Windows does not have; _posix ones of libraries are their own matter.
POSIX_MODULES = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios"}
POSIX_NAMES = {
    "os": {"fork", "forkpty", "getloadavg", "getuid", "killpg", "mkfifo", "setsid", "uname"},
    "signal": {"SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "alarm", "setitimer"},
}
SOURCES = [
    path
    for place in ("pose_project", "configs", "tools", "setup.py")
    for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
]


def without_encoding(tree: ast.AST) -> list[int]:
    """Return the lines that open a text file in the encoding of the machine."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(each.arg == "encoding" for each in node.keywords):
            continue
        name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
        is_builtin = isinstance(node.func, ast.Name)
        named = [each.value for each in node.keywords if each.arg == "mode"]
        given = [*node.args[int(is_builtin) :][:1], *named]
        modes = [each.value for each in given if isinstance(each, ast.Constant)]
        mode = modes[0] if modes else "r" if is_builtin and not given else ""
        is_text = mode != "" and not set(str(mode)) - set("rwax+t")
        opens_text = name == "open" and is_text and ast.unparse(node.func) != "tarfile.open"
        if opens_text or name in ("read_text", "write_text"):
            lines.append(node.lineno)
    return lines


def only_on_posix(tree: ast.AST) -> list[str]:
    """Return what a file takes that Windows does not have, and does not ask for by hasattr."""
    found, asked = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name in POSIX_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module in POSIX_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Attribute):
            owner = getattr(node.value, "id", "")
            found += [f"{owner}.{node.attr}"] * (node.attr in POSIX_NAMES.get(owner, ()))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "hasattr":
            asked.add(ast.unparse(node.args[0]) + "." + str(getattr(node.args[1], "value", "")))
    found = [each for each in found if each not in asked]
    return found


def test_text_has_a_stated_encoding():
    found = {str(path): without_encoding(_parse(path)) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}
    assert len(SOURCES) > 200


def test_nothing_that_windows_does_not_have():
    found = {str(path): only_on_posix(_parse(path)) for path in SOURCES}
    assert {path: names for path, names in found.items() if names} == {}


def test_what_is_looked_for_is_found():
    code = "import fcntl\nopen(x)\nopen(x, 'a')\np.open('w')\np.read_text()\nos.fork()\n"
    assert without_encoding(ast.parse(code)) == [2, 3, 4, 5]
    assert only_on_posix(ast.parse(code)) == ["fcntl", "os.fork"]
    asked = "user = os.getuid() if hasattr(os, 'getuid') else 1"
    assert only_on_posix(ast.parse(asked)) == []
    fine = "open(x, 'rb')\nopen(x, mode='wb')\nparts.open(todo)\nopen(x, encoding='utf-8')\n"
    assert without_encoding(ast.parse(fine)) == []


@pytest.mark.integration
def test_every_module_is_imported_without_them():
    """The package's own imports of them fail; those of libraries, for this system, do not."""
    code = """
        import builtins, pkgutil, importlib, os, signal, sys
        real = builtins.__import__
        def refusing(name, globals=None, *rest):
            if name in POSIX and str((globals or {}).get("__name__")).startswith("pose_project"):
                raise ImportError(f"{name} is not on Windows")
            return real(name, globals, *rest)
        builtins.__import__ = refusing
        import torch, torch.distributed, detectron2.engine, matplotlib.pyplot
        for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGALRM"):
            delattr(signal, name)
        del os.fork, os.forkpty, os.killpg
        import pose_project
        for each in pkgutil.walk_packages(pose_project.__path__, "pose_project."):
            if "ray_data" not in each.name and not each.name.endswith("__main__"):
                importlib.import_module(each.name)
        print("all")
    """
    program = f"POSIX = {POSIX_MODULES}\n" + "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "all\n", done.stderr


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain.json", "plain.json"),
        ("a:b?c*d", "a_b_c_d"),
        ("C:\\photos\\x", "C__photos_x"),
        ("ends. ", "ends"),
        ("...", "_"),
    ],
)
def test_names_of_files(text, name):
    assert file_name_of(text) == name


@pytest.fixture
def from_windows(write_dataset) -> tuple[Path, Path]:
    """Annotations whose file_name was written on Windows, and the photos, in a sub-folder."""
    json_file, photos = write_dataset([person(image_id=1)])
    content = json.loads(json_file.read_text(encoding="utf-8"))
    (photos / "val2017").mkdir()
    (photos / "1.png").rename(photos / "val2017" / "x.png")
    content["images"][0]["file_name"] = "val2017\\x.png"
    json_file.write_text(json.dumps(content), encoding="utf-8")
    return json_file, photos


def test_backslashes_in_annotations_are_folders_for_training(from_windows):
    json_file, photos = from_windows
    (photo,) = get_dataset_dicts(f"{json_file}@{photos}")
    assert photo["file_name"] == str(photos / "val2017" / "x.png")


def test_and_for_the_doctor(from_windows, capsys):
    json_file, photos = from_windows
    main(["doctor", str(json_file), "--images", str(photos)])
    assert "photo-missing" not in capsys.readouterr().out
    (photos / "val2017" / "x.png").unlink()
    assert main(["doctor", str(json_file), "--images", str(photos)]) == 2
    assert "photo-missing" in capsys.readouterr().out


def test_and_where_predictions_take_their_ids_from(from_windows):
    json_file, photos = from_windows
    ids = ImageIds([{"name": "person", "id": 1}], json_file)
    path = photos / "val2017" / "x.png"
    source = Source(path, "x.png")
    ids.check([source])
    assert ids.next_id(source) == 1


def test_a_path_with_backslashes_in_an_option_is_said_to_be_missing(tmp_path, capsys):
    """A shell of Linux takes them as they are: nothing is guessed."""
    (tmp_path / "photos").mkdir()
    assert main(["predict", f"{tmp_path}\\photos", "--no-draw"]) == 2
    assert f"no file or folder at {tmp_path}\\photos" in capsys.readouterr().err


def _parse(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))
