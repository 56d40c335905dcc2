"""Shards behind addresses: S3, Google's storage and HTTP, from servers on this machine."""

import functools
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.runs import CONFIG, EVERYTHING

from pose_project.commands.command_line import main
from pose_project.data import resolve_dataset
from pose_project.extras.shards.writing import write_shards

TRAIN = "synthetic_demo_train_12"
BUCKET = "pose"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = resolve_dataset(TRAIN)
    output = tmp_path_factory.mktemp("served") / "train"
    write_shards(Path(data.json_file), Path(data.image_root), output, 50_000)
    return output


@pytest.fixture(scope="module")
def s3(shards: Path) -> Iterator[str]:
    pytest.importorskip("s3fs", reason="pip install s3fs")
    moto = pytest.importorskip("moto.server", reason="pip install 'moto[server,s3]'")
    import boto3

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("no_proxy", "127.0.0.1"),
        ):
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        for file in shards.iterdir():
            client.upload_file(str(file), BUCKET, f"data/train/{file.name}")
        yield f"s3://{BUCKET}/data/train"
    server.stop()


@pytest.fixture(scope="module")
def web(shards: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="pip install aiohttp")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(shards.parent))
    with (
        pytest.MonkeyPatch.context() as patch,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
    ):
        patch.setenv("no_proxy", "127.0.0.1")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/train"
        server.shutdown()


@pytest.fixture(scope="module")
def gs(shards: Path) -> Iterator[str]:
    emulator = pytest.importorskip(
        "gcp_storage_emulator.server", reason="pip install gcsfs gcp-storage-emulator"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("STORAGE_EMULATOR_HOST", address),
            ("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false"),  # asks by gRPC what the bucket is
            ("GCSFS_DEFAULT_PROJECT", "any"),
            ("no_proxy", "127.0.0.1"),
        ):
            patch.setenv(name, value)
        gcsfs = pytest.importorskip("gcsfs", reason="pip install gcsfs")
        server.start()
        client = gcsfs.GCSFileSystem(token="anon", endpoint_url=address)
        for file in shards.iterdir():
            client.pipe(f"{BUCKET}/data/train/{file.name}", file.read_bytes())
        yield f"gs://{BUCKET}/data/train"
        server.stop()


@pytest.fixture(params=["s3", "gs", "web"])
def address(request: pytest.FixtureRequest, tmp_path, monkeypatch) -> str:
    """Where the shards are, with nothing fetched yet."""
    address = request.getfixturevalue(request.param)
    monkeypatch.setattr(
        "pose_project.extras.shards.remote_files.cache_folder", lambda: tmp_path / "cache"
    )
    return address


def losses(folder: Path) -> list[float]:
    rows = (folder / "metrics.json").read_text(encoding="utf-8").splitlines()
    return [row["total_loss"] for row in map(json.loads, rows) if "total_loss" in row]


@pytest.mark.integration
def test_losses_are_those_of_the_folder(start, shards, address, tmp_path):
    """Shards are fetched by loading processes, which are forked after this one has fetched."""
    data = resolve_dataset(TRAIN)
    names = {"folder": f"{data.json_file}@{data.image_root}"}
    names["away"] = f"'{address}/annotations.json@{address}'"
    for run, name in names.items():
        workers = f"dataloader.train.num_workers={2 if run == 'away' else 0}"
        start(f"dataloader.train.dataset.names={name}", workers, folder=run).train()
    assert losses(tmp_path / "away") == losses(tmp_path / "folder")
    assert len(losses(tmp_path / "away")) == 6
    fetched = {path.name for path in (tmp_path / "cache").rglob("*.tar")}
    assert fetched == {path.name for path in shards.glob("*.tar")}


@pytest.mark.integration
def test_poses_are_those_of_the_folder(weights, shards, address, tmp_path):
    for input_, output in ((str(shards), "near"), (address, "away")):
        model = ["--config-file", CONFIG, "--weights", str(weights), *EVERYTHING]
        out = ["--output", str(tmp_path / output), "--save-json"]
        assert main(["predict", *model, "--input", input_, *out]) == 0
    near, away = (
        json.loads((tmp_path / each / "results.json").read_text()) for each in ("near", "away")
    )
    assert near == away and len(near) > 0


def test_what_is_not_there_is_one_line(address, tmp_path, weights, capsys):
    model = ["--config-file", CONFIG, "--weights", str(weights)]
    where = f"{address}/nothing"
    assert main(["predict", *model, "--input", where, "--output", str(tmp_path / "x")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: there is no {where}/shards.json"


def test_a_server_that_does_not_answer_is_one_line(web, tmp_path, weights, capsys):
    model = ["--config-file", CONFIG, "--weights", str(weights)]
    where = "http://127.0.0.1:9/train"
    assert main(["predict", *model, "--input", where, "--output", str(tmp_path / "x")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {where}/shards.json cannot be opened: ")
