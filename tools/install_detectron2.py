"""Make Detectron2 importable in this environment.

    python tools/install_detectron2.py [--wheel-dir DIR]

A Detectron2 that is already importable is left alone. Otherwise release 0.6 is taken from the
package index, where its Python files are published as the source archive ``pb1-detectron2``
without the C++ sources. It becomes a pure-Python wheel, ``detectron2-0.6+nocompile``: a few lines
that today's NumPy, Pillow and setuptools no longer take are replaced, and the compiled operators
get a stand-in that says so when one is called. Keypoint R-CNN calls none of them: NMS and ROIAlign
come from torchvision. Needs torch and setuptools; no compiler.
"""

import argparse
import hashlib
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ARCHIVE = "pb1-detectron2==0.6"
ARCHIVE_SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"
# Newer pips refuse the archive for a URL in one of its optional extras, which is not used here.
DOWNLOADER = "pip==25.3"

# (file, old, new, times). Every count must be met exactly, or nothing is installed.
REPLACEMENTS = (
    ("data/transforms/transform.py", "interp=Image.LINEAR", "interp=Image.BILINEAR", 1),
    ("data/build.py", "dtype=np.int)", "dtype=int)", 1),
    ("data/build.py", "dtype=np.int\n", "dtype=int\n", 1),
    ("evaluation/sem_seg_evaluation.py", "dtype=np.int)", "dtype=int)", 2),
    ("evaluation/sem_seg_evaluation.py", "astype(np.float)", "astype(float)", 3),
    ("evaluation/sem_seg_evaluation.py", "dtype=np.float)", "dtype=float)", 2),
    ("model_zoo/model_zoo.py", "import pkg_resources\n", "from importlib import resources\n", 1),
    (
        "model_zoo/model_zoo.py",
        "pkg_resources.resource_filename(\n"
        '        "detectron2.model_zoo", os.path.join("configs", config_path)\n'
        "    )",
        'str(resources.files("detectron2.model_zoo").joinpath("configs", config_path))',
        1,
    ),
    (
        "evaluation/coco_evaluation.py",
        "from detectron2.evaluation.fast_eval_api import COCOeval_opt\n",
        "COCOeval_opt = COCOeval  # the faster evaluator needs the compiled operators\n",
        1,
    ),
)

STAND_IN = '''"""Stand-in for the compiled operators, which this build does not have."""


def get_compiler_version():
    return "not compiled"


def get_cuda_version():
    return "not compiled"


def __getattr__(name):
    raise AttributeError(
        f"detectron2._C.{name} is a compiled operator, and this Detectron2 was built without "
        "compiled ops; install an official build of Detectron2 to use it"
    )
'''

SETUP = """from setuptools import find_packages, setup

setup(
    name="detectron2",
    version="0.6+nocompile",
    description="Detectron2 0.6, Python files only",
    license="Apache-2.0",
    packages=find_packages(include=["detectron2", "detectron2.*"]),
    package_data={"detectron2.model_zoo": ["configs/**/*.yaml", "configs/**/*.py"]},
    install_requires=[
        "Pillow", "matplotlib", "pycocotools", "termcolor", "yacs", "tabulate", "cloudpickle",
        "tqdm", "tensorboard", "fvcore", "iopath", "omegaconf", "hydra-core",
    ],
)
"""


class InstallError(RuntimeError):
    """The installation stopped before anything was changed."""


def describe_installed() -> str | None:
    """Return version and place of the importable Detectron2, or None if there is none.

    Raises:
        InstallError: if one is there but fails to import; it is left as it is.
    """
    if importlib.util.find_spec("detectron2") is None:
        return None
    try:
        module = importlib.import_module("detectron2")
        importlib.import_module("detectron2.modeling")
    except Exception as error:
        raise InstallError(
            f"a detectron2 is installed but cannot be imported ({type(error).__name__}: {error}); "
            "repair or uninstall it, then run this again"
        ) from error
    return f"detectron2 {module.__version__} at {Path(module.__file__).parent}"


def run_pip(*arguments: str, python_path: Path | None = None) -> None:
    """Run pip in this interpreter.

    Raises:
        InstallError: with pip's last lines, if it fails.
    """
    environment = dict(os.environ)
    if python_path is not None:
        environment["PYTHONPATH"] = str(python_path)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["no message"]
        raise InstallError(f"'pip {' '.join(arguments[:2])} ...' failed: {lines[-1].strip()}")


def download_archive(folder: Path) -> Path:
    """Download the source archive into ``folder``, its hash checked by pip and once more here."""
    pip_folder = folder / "pip"
    run_pip("install", "--quiet", "--target", str(pip_folder), DOWNLOADER)
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{ARCHIVE} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="utf-8")
    flags = ("--no-deps", "--no-binary=:all:", "--no-build-isolation", "--require-hashes")
    run_pip(
        *("download", "--quiet", *flags, "-r", str(pinned), "-d", str(folder)),
        python_path=pip_folder,
    )
    (archive,) = folder.glob("*.tar.gz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != ARCHIVE_SHA256:
        raise InstallError(f"{archive.name} does not have the expected sha256")
    return archive


def patch_tree(package: Path) -> None:
    """Apply ``REPLACEMENTS`` to the unpacked ``detectron2`` folder and add the stand-in.

    Raises:
        InstallError: if one of the texts does not occur exactly as often as expected.
    """
    for name, old, new, times in REPLACEMENTS:
        path = package / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != times:
            raise InstallError(
                f"{name}: expected {times} time(s) {old.strip()!r}, found {text.count(old)}; "
                "this is not the release that the replacements were written for"
            )
        path.write_text(text.replace(old, new), encoding="utf-8")
    (package / "_C.py").write_text(STAND_IN, encoding="utf-8")


def build_wheel(folder: Path) -> Path:
    """Return the wheel built in ``folder`` from the downloaded, patched sources."""
    with tarfile.open(download_archive(folder)) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    patch_tree(source / "detectron2")
    (source / "setup.py").write_text(SETUP, encoding="utf-8")
    run_pip(
        *("wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("-w", str(folder / "wheel"), str(source)),
    )
    (wheel,) = (folder / "wheel").glob("detectron2-*.whl")
    return wheel


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--wheel-dir",
        type=Path,
        metavar="DIR",
        help="also keep the wheel here; built even where a detectron2 is installed already",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Install Detectron2 where there is none; return the exit code."""
    arguments = get_parser().parse_args(argv)
    try:
        found = describe_installed()
        if found:
            print(f"Found {found}; left as it is.")
        if found and arguments.wheel_dir is None:
            return 0
        if importlib.util.find_spec("torch") is None:
            raise InstallError("torch is not installed; install torch and torchvision first")
        with tempfile.TemporaryDirectory() as folder:
            wheel = build_wheel(Path(folder))
            if arguments.wheel_dir is not None:
                arguments.wheel_dir.mkdir(parents=True, exist_ok=True)
                print(f"Wheel: {shutil.copy2(wheel, arguments.wheel_dir)}")
            if not found:
                run_pip(
                    "install", "--quiet", str(wheel)
                )  # with what it needs, where that is missing
                print(f"Installed {wheel.name}.")
    except (InstallError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
