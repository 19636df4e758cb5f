# Everything runs in .venv, made on first use from python3 and make alone.
#   make demo   builds and serves the omni example with real weights, and checks its answers
#   make test   all tests, on the embedded tritonserver
#   make lint   ruff and mypy --strict, for the Pythons that the NGC images carry
#   make bench  the benchmarks, as ratios
#   make gpu-check  the tests of device memory, and figures, on this machine's GPU; with $(PYTHON) as it is

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
WEIGHTS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/corntriton/omni
export CORNTRITON_WEIGHTS := $(abspath $(WEIGHTS))

.PHONY: demo test lint bench gpu-check schemas weights clean
.DEFAULT_GOAL := test

# One environment for all targets; made again when the dependencies change.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,demo]'
	touch $@

weights: $(VENV)/installed
	$(BIN)/python examples/omni/get_weights.py

demo: weights
	$(BIN)/python examples/omni/demo.py

# Two files at a time: loading a server is mostly waiting. Each file is one process's, with its servers.
test: weights
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --python-version 3.10
	$(BIN)/mypy --python-version 3.12

bench: $(VENV)/installed
	$(BIN)/python tools/bench_orchestrator.py
	$(BIN)/python tools/bench_dataplane.py
	$(BIN)/python tools/bench_planner.py

# On a machine that may have no network: with the Python that it has, and its torch, numpy and cuda-bindings.
gpu-check:
	$(PYTHON) tools/gpu_check.py

schemas: $(VENV)/installed
	$(BIN)/python -m corntriton.schemas

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist demo-output bench-output
