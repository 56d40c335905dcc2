import pytest
from helpers.repository import load_tool


@pytest.fixture
def installer():
    return load_tool("install_detectron2")


def write_tree(folder, installer, times_off=0):
    """A tree in which every text to replace occurs as often as expected, but for the first."""
    for number, (name, old, _, times) in enumerate(installer.REPLACEMENTS):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        count = times + (times_off if number == 0 else 0)
        with open(path, "a") as stream:
            stream.write(("# \n" + old + "\n") * count)


def test_every_replacement_is_made(tmp_path, installer):
    write_tree(tmp_path, installer)
    installer.patch_tree(tmp_path)
    for name, old, new, _ in installer.REPLACEMENTS:
        text = (tmp_path / name).read_text()
        assert old not in text
        assert new in text


@pytest.mark.parametrize("times_off", [-1, 1])
def test_another_release_is_refused(tmp_path, installer, times_off):
    write_tree(tmp_path, installer, times_off)
    with pytest.raises(installer.InstallError, match="expected 1 time"):
        installer.patch_tree(tmp_path)


def test_the_stand_in_says_what_is_missing(installer):
    module = {}
    exec(installer.STAND_IN, module)
    assert module["get_cuda_version"]() == "not compiled"
    with pytest.raises(AttributeError, match="nms_rotated is a compiled operator"):
        module["__getattr__"]("nms_rotated")


def test_an_installed_detectron2_is_left_alone(installer, capsys, monkeypatch):
    monkeypatch.setattr(installer, "run_pip", lambda *_, **__: pytest.fail("pip was called"))
    assert installer.main([]) == 0
    assert "left as it is" in capsys.readouterr().out


def test_a_failed_download_is_one_line(installer, capsys, monkeypatch):
    def no_network(*arguments, **_):
        raise installer.InstallError("'pip download ...' failed: no network")

    monkeypatch.setattr(installer, "describe_installed", lambda: None)
    monkeypatch.setattr(installer, "run_pip", no_network)
    assert installer.main([]) == 2
    assert capsys.readouterr().err == "error: 'pip download ...' failed: no network\n"


def test_what_detectron2_needs_is_installed_with_it(installer, tmp_path, monkeypatch):
    """In an environment of PyTorch alone; what is there already satisfies pip."""
    wheel = tmp_path / "detectron2-0.6+nocompile-py3-none-any.whl"
    calls = []
    monkeypatch.setattr(installer, "describe_installed", lambda: None)
    monkeypatch.setattr(installer, "build_wheel", lambda _: wheel)
    monkeypatch.setattr(installer, "run_pip", lambda *arguments, **_: calls.append(arguments))
    assert installer.main([]) == 0
    assert calls == [("install", "--quiet", str(wheel))]
    for needed in ("cloudpickle", "fvcore", "omegaconf", "hydra-core", "iopath", "yacs"):
        assert f'"{needed}"' in installer.SETUP
