# make run   install what is missing, then open the studio on the bundled demo (without a display: distil it),
#            or make run ARGS="distill my/scene --out runs/mine"
# make test  install what is missing, then check style, types, layers, and run the tests
# make test-long  the tests that take minutes
# make demo  render the demo scene anew (some ten minutes)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=
TESTERS ?= 2

.PHONY: run test test-long check demo clean

run: $(VENV)/run.stamp
	$(BIN)/python main.py $(ARGS)

# A process that tests keeps one core busy for most of the time, so there are two, each with files of its own and the
# windows' in one. The checks run beside them, and are told at the end.
test: $(VENV)/test.stamp
	@$(MAKE) --no-print-directory check >$(VENV)/check.log 2>&1 & checks=$$!; \
	$(BIN)/python -m pytest -m "not slow" -n $(TESTERS) --dist loadgroup --no-loadscope-reorder $(ARGS); tests=$$?; \
	wait $$checks; checked=$$?; cat $(VENV)/check.log; \
	exit $$((tests || checked))

test-long: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m slow $(ARGS)

check: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

demo: $(VENV)/run.stamp
	$(BIN)/python -m assets.make_demo

$(VENV)/run.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	$(BIN)/python main.py doctor --compile
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(PIP) --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV)
