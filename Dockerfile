# docker build -t pose_project .        # for GPUs (CUDA) and without; most of it is CUDA's libraries
# docker build -t pose_project --build-arg PIP_EXTRA_INDEX_URL=INDEX .    # CPUs alone
#   where INDEX is the address of PyTorch's own packages for CPUs
# docker run --rm -v "$PWD":/data -v pose_project:/cache pose_project predict photo.jpg
# docker run --rm --gpus all -v "$PWD":/data -v pose_project:/cache pose_project train ...
FROM python:3.12-slim

# what OpenCV's windows are linked to; no compiler
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /pose_project
COPY requirements.txt setup.py pyproject.toml README.md ./
COPY tools/install_detectron2.py tools/
COPY configs configs
COPY pose_project pose_project
# pip takes 2.11.0+cpu from there before 2.11.0, of torch and torchvision alike
ARG PIP_EXTRA_INDEX_URL=
RUN python -m pose_project setup --venv /venv && rm -rf /root/.cache

# weights and synthetic photos outlive a container in /cache; what is worked on lies in /data
ENV PATH=/venv/bin:$PATH POSE_PROJECT_CACHE=/cache
WORKDIR /data
ENTRYPOINT ["pose-project"]
CMD ["--help"]
