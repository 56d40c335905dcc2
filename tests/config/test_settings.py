from dataclasses import dataclass, field
from typing import Literal

import pytest
from helpers.repository import ROOT
from helpers.settings_table import settings_table
from omegaconf import OmegaConf

from pose_project.config.loading import PARTS, load_config
from pose_project.config.settings import read_settings, setting
from pose_project.config.train_settings import TrainSettings
from pose_project.utils.errors import InputError

SYNTHETIC = str(ROOT / "configs/quick/synthetic.py")


@dataclass
class Inner:
    flag: bool = setting(False, "A switch.")


@dataclass
class Outer:
    count: int = setting(3, "A number of things.", low=1)
    share: float | None = setting(None, "A part of one.", low=0, below=1)
    kind: Literal["a", "b", "c"] = setting("a", "One of three.")
    sizes: list[float] = setting([], "Several sizes.", low=0.5, high=2)
    name: str = setting("red", "A colour.", choices=("red", "green"), expected="red or green")
    inner: Inner = field(default_factory=Inner)


def test_settings_that_are_right():
    given = {"count": 7, "share": 0.25, "sizes": [1, 2.0], "inner": {"flag": True}}
    assert read_settings(Outer, given, "x") == Outer(7, 0.25, "a", [1, 2.0], "red", Inner(True))
    assert read_settings(Outer, OmegaConf.create(given), "x") == read_settings(Outer, given, "x")
    assert read_settings(Outer, {}, "x") == Outer()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 0}, "x.count must be a whole number from 1, got 0"),
        ({"count": 1.5}, "x.count must be a whole number from 1, got 1.5"),
        ({"count": True}, "x.count must be a whole number from 1, got True"),
        ({"count": None}, "x.count must be a whole number from 1, got None"),
        ({"share": 1}, "x.share must be a number from 0 to 1 (not included) or null, got 1"),
        ({"share": float("nan")}, "x.share must be a number"),
        ({"share": "0.5"}, "x.share must be a number"),
        ({"kind": "d"}, "x.kind must be a, b or c, got 'd'"),
        ({"kind": ["a"]}, "x.kind must be a, b or c"),
        ({"sizes": 1.0}, "x.sizes must be a list, each a number from 0.5 to 2, got 1.0"),
        ({"sizes": [1, 3]}, "x.sizes must be a list, each a number from 0.5 to 2, got [1, 3]"),
        ({"sizes": None}, "x.sizes must be a list"),
        ({"name": "grean"}, "x.name must be red or green, got 'grean'; did you mean green?"),
        ({"name": 5}, "x.name must be red or green, got 5"),
        ({"inner": {"flag": 1}}, "x.inner.flag must be True or False, got 1"),
        ({"inner": {"flog": True}}, "there is no key x.inner.flog; did you mean x.inner.flag?"),
        ({"inner": True}, "x.inner must hold flag, got True"),
        ({"zzz": 1}, "there is no key x.zzz"),
        ({"count": "${missing}"}, "x refers to a key that is missing"),
    ],
)
def test_settings_that_are_wrong(given, message):
    for form in (given, OmegaConf.create(given)):
        if "refers" in message and form is given:
            continue
        with pytest.raises(InputError) as error:
            read_settings(Outer, form, "x")
        assert str(error.value).startswith(message)


def test_what_a_config_file_sets_is_checked_as_overrides_are(tmp_path):
    file = tmp_path / "config.py"
    text = (
        "from detectron2.config import LazyConfig\n"
        f"base = LazyConfig.load({SYNTHETIC!r})\n"
        f"{', '.join(PARTS)} = (base[part] for part in {PARTS!r})\n"
    )
    for line, message in [
        ("train.max_itr = 5", "there is no key train.max_itr; did you mean train.max_iter?"),
        ("train.max_iter = '5'", "train.max_iter must be a whole number from 1 or null, got '5'"),
        ("train.amp = True", "train.amp must hold enabled, dtype, got True"),
    ]:
        file.write_text(f"{text}{line}\n")
        with pytest.raises(InputError) as error:
            load_config(str(file))
        assert str(error.value) == message


def test_defaults_are_among_the_values_and_survive_text():
    """Each default can be given on a command line as the table prints it."""
    rows = settings_table(TrainSettings, "train").splitlines()[2:]
    keys = [row.split("`")[1] for row in rows]
    shown = [row.split("`")[3] for row in rows]
    assert len(set(keys)) == len(rows) >= 37
    overrides = [
        f"{key}={value}"
        for key, value in zip(keys, shown, strict=True)
        if key != "train.ddp"  # keys and values, as Python writes them
    ]
    cfg = load_config(SYNTHETIC, overrides)
    assert read_settings(TrainSettings, cfg.train, "train") == TrainSettings()


def test_the_docs_have_the_table():
    page = (ROOT / "docs/settings.md").read_text()
    table = settings_table(TrainSettings, "train")
    assert table in page, "python -m helpers.settings_table prints the table of today"
