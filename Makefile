# make setup   .venv with everything in it
# make demo    train, evaluate and draw on synthetic photos; output/demo
# make test    unit and parity tests, doctests
# make soak    kill, damage, fuzz and watch long runs; docs/reliability.md
# make bench   speed against the peers, on a quiet machine
# make gpu     everything that a GPU proves and measures; docs/gpu.md
# make lint    ruff, format, import contract
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
SETUP_DONE := $(VENV)/.setup-done
DEMO := output/demo

.PHONY: setup demo test test-integration bench soak gpu lint

setup: $(SETUP_DONE)

$(SETUP_DONE): requirements.txt setup.py tools/install_detectron2.py
	$(PYTHON) -m pose_project setup --venv $(VENV)
	touch $@

# --resume: an interrupted demo goes on, a finished one is evaluated once more
demo: setup
	$(RUN) tools/train_net.py --config-file configs/quick/synthetic.py --resume train.output_dir=$(DEMO)
	$(RUN) tools/train_net.py --config-file configs/quick/synthetic.py --eval-only \
	    train.init_checkpoint=$(DEMO)/model_final.pth train.output_dir=$(DEMO)/level_full \
	    dataloader.test.dataset.names=synthetic_full_val_100
	rm -rf $(DEMO)/predicted
	$(RUN) tools/predict.py --config-file configs/quick/synthetic.py --weights $(DEMO)/model_final.pth \
	    --input "$$(ls -t "$${POSE_PROJECT_CACHE:-$$HOME/.cache/pose_project}"/synthetic_demo_val_*/val2017/000001000006.jpg | head -n 1)" \
	    --output $(DEMO)/predicted
	@echo "Tables above; log, curves, weights and pictures are in $(DEMO)"

test: setup
	$(RUN) -m pytest -n 2 --dist loadscope -m "not integration and not gpu and not bench"

test-integration: setup
	$(RUN) -m pytest -n 2 --dist loadfile -m "integration and not gpu"

# some minutes; needs a machine that does nothing else
bench: setup
	$(RUN) -m pytest -m bench tests/bench

# at most 20 minutes; writes docs/reliability.md
soak: setup
	$(RUN) tools/soak.py --report docs/reliability.md

# at most 25 minutes, on a machine with an NVIDIA GPU
gpu: setup
	$(RUN) tools/gpu.py --json docs/gpu.json --report docs/gpu.md

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
