"""Files that other systems read: by their own schemas, and for commands that exist here."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.repository import ROOT

from pose_project.commands.command_line import build_parser
from pose_project.commands.options import parse

SKY, KUBEFLOW = ROOT / "tools/train.sky.yaml", ROOT / "tools/train.pytorchjob.yaml"


def trained_with(words: list[str]) -> list[str]:
    """Return the options of the training in a command of torchrun."""
    start = words.index("tools/train_net.py") if "tools/train_net.py" in words else None
    return words[start + 1 :] if start is not None else words[words.index("train") + 1 :]


def kubeflow_errors(content: dict[str, Any]) -> list[str]:
    """Return what the operator's own classes do not know, or refuse."""
    models = pytest.importorskip("kubeflow.training.models")
    client = pytest.importorskip("kubernetes.client")
    errors = []

    def check(value: Any, kind: str, place: str) -> None:
        if kind.startswith("list["):
            for number, each in enumerate(value):
                check(each, kind[5:-1], f"{place}[{number}]")
        elif kind.startswith("dict("):
            for name, each in value.items():
                check(each, kind[5:-1].partition(", ")[2], f"{place}.{name}")
        elif kind in ("str", "int", "bool", "object"):
            if kind != "object" and type(value).__name__ != kind:
                errors.append(f"{place}: {value!r} is not {kind}")
        else:
            model = getattr(models, kind, None) or getattr(client, kind.rpartition(".")[2], None)
            assert model is not None, kind
            names = {name: field for field, name in model.attribute_map.items()}
            for name, each in value.items():
                if name not in names:
                    errors.append(f"{place}.{name} is unknown")
                else:
                    check(each, model.openapi_types[names[name]], f"{place}.{name}")

    check(content, "KubeflowOrgV1PyTorchJob", "job")
    return errors


def test_kubeflow_takes_the_job():
    content = yaml.safe_load(KUBEFLOW.read_text())
    assert kubeflow_errors(content) == []
    assert (content["apiVersion"], content["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    worker = content["spec"]["pytorchReplicaSpecs"]["Worker"]
    (container,) = worker["template"]["spec"]["containers"]
    assert container["name"] == "pytorch"
    assert worker["restartPolicy"] == "OnFailure"
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in worker["template"]["spec"]["volumes"]}


def test_a_wrong_job_is_seen():
    content = yaml.safe_load(KUBEFLOW.read_text())
    worker = content["spec"]["pytorchReplicaSpecs"]["Worker"]
    worker["replicas"] = "2"
    worker["template"]["spec"]["container"] = worker["template"]["spec"].pop("containers")
    assert kubeflow_errors(content) == [
        "job.spec.pytorchReplicaSpecs.Worker.replicas: '2' is not int",
        "job.spec.pytorchReplicaSpecs.Worker.template.spec.container is unknown",
    ]


def test_sky_takes_the_task():
    """By the schema of SkyPilot itself, where it is installed."""
    schemas = pytest.importorskip("sky.utils.schemas", exc_type=ImportError)
    jsonschema = pytest.importorskip("jsonschema")
    content = yaml.safe_load(SKY.read_text())
    jsonschema.validate(content, schemas.get_task_schema())
    jsonschema.validate(content["resources"], schemas.get_resources_schema())
    for mount in content["file_mounts"].values():
        jsonschema.validate(mount, schemas.get_storage_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "node": 2}, schemas.get_task_schema())


@pytest.mark.parametrize("shell", ["setup", "run"])
def test_the_shell_of_the_task_is_right(shell, tmp_path):
    script = tmp_path / "script.sh"
    script.write_text(yaml.safe_load(SKY.read_text())[shell])
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_task_calls_torchrun_as_meant(tmp_path):
    """Run with a torchrun that writes down what it is given, on the second of two machines."""
    content = yaml.safe_load(SKY.read_text())
    recorder = tmp_path / ".venv/bin/torchrun"
    recorder.parent.mkdir(parents=True)
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > called\n')
    recorder.chmod(0o755)
    environment = {
        **content["envs"],
        "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2",
        "SKYPILOT_NUM_NODES": "2",
        "SKYPILOT_NUM_GPUS_PER_NODE": "4",
        "SKYPILOT_TASK_ID": "sky-1",
        "PATH": "/usr/bin:/bin",
    }
    command = ["bash", "-euc", content["run"]]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    words = (tmp_path / "called").read_text().splitlines()
    assert words[: words.index("tools/train_net.py")] == [
        *("--nnodes", "2", "--nproc-per-node", "4", "--rdzv-backend", "c10d"),
        *("--rdzv-endpoint", "10.0.0.1:29400", "--rdzv-id", "sky-1", "--max-restarts", "3"),
    ]
    check_training(trained_with(words))


def test_the_job_trains_with_options_that_exist():
    worker = yaml.safe_load(KUBEFLOW.read_text())["spec"]["pytorchReplicaSpecs"]["Worker"]
    check_training(trained_with(worker["template"]["spec"]["containers"][0]["command"]))


def check_training(words: list[str]) -> None:
    arguments = parse(build_parser("train"), words)
    assert arguments.resume, "without it a preempted run would begin anew"
    # in the Dockerfile's image the configs are below /pose_project
    assert Path(ROOT, arguments.config_file.removeprefix("/pose_project/")).is_file()
    assert any(each.startswith("train.output_dir=/") for each in arguments.opts)
