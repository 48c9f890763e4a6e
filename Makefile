# make demo: the main job on a shipped model. make test: the tests. Each sets itself up with plain pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint organisms clean

demo: $(READY)
	$(BIN)/introspect sweep --loops all --strengths 0.5,1,2 --max-new-tokens 24 --out runs/demo
	$(BIN)/introspect report runs/demo

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto  # a worker a core: more threads wait for one another

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

organisms: $(READY)
	bash training/organisms.sh $(BIN)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) runs build dist
