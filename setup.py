"""Installation of pose_project: ranges here, the exact lock in requirements.txt."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="pose_project",
    version="0.1.0",
    description="Keypoint R-CNN on Detectron2: train, evaluate and see poses",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    entry_points={
        "console_scripts": ["pose-project = pose_project.commands.command_line:main"],
    },
    # configs/ lies beside the package; a wheel has it inside, where models are looked up by name
    packages=[
        *find_packages(include=["pose_project", "pose_project.*"]),
        *(f"pose_project.{each}" for each in ("configs", "configs.common", "configs.quick")),
    ],
    package_dir={"pose_project.configs": "configs"},
    package_data={
        "pose_project.extras.report": ["*.jinja"],
        "pose_project.extras.serve": ["*.html"],
    },
    # Detectron2 is not listed: the package index has none of that name. It is imported, and an
    # installed one is kept; tools/install_detectron2.py installs one where there is none.
    install_requires=[
        "torch>=2.4",
        "torchvision>=0.19",
        "filelock>=3.12",
        "fsspec>=2023.6",
        "fvcore>=0.1.5",
        "hotcoco>=1.3,<2",
        "hydra-core>=1.3",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "omegaconf>=2.3",
        "opencv-python>=4.9",
        "orjson>=3.9",
        "pycocotools>=2.0.7",
        "scipy>=1.11",
        "tabulate>=0.9",
        "tensorboard>=2.16",
        "tqdm>=4.66",
        "pyyaml>=6",
    ],
    extras_require={
        # tools/export.py --format onnx
        "export": ["onnx>=1.16", "onnxruntime>=1.19"],
        # exported models in OpenVINO, and Triton's own check of its configuration
        "ray": ["ray[data]>=2.40"],
        # predict --parquet, of shards
        "parquet": ["pyarrow>=15"],
        "runtimes": ["openvino>=2024.4", "tritonclient>=2.50"],
        # the initial segmentation of selective search
        "proposals": ["scikit-image>=0.24"],
        # report.html of the analysis
        "report": ["jinja2>=3.1", "plotly>=6"],
        # Poses.to_pandas, Poses.to_supervision
        "tables": ["pandas>=2.2", "supervision>=0.25"],
        # photos of phones, HEIC
        "heif": ["pi-heif>=0.22"],
        # videos into and out of tools/predict.py
        "video": ["av>=14"],
        # tools/serve.py
        "serve": ["fastapi>=0.115", "uvicorn>=0.34"],
        # docs/loop.ipynb, run by the tests
        "notebook": ["ipykernel>=6.29", "nbclient>=0.10"],
        "dev": [
            "hypothesis>=6.100",
            "import-linter>=2.1",
            "kubeflow-training>=1.9",
            "playwright>=1.50",
            "pytest>=8",
            "pytest-benchmark>=5",
            "pytest-xdist>=3.6",
            "ruff>=0.8",
            "webdataset>=1.0",
        ],
    },
)
