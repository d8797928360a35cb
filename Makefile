# The first run of any target makes .venv; `make setup PYTHON=python3.13` chooses another Python.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LOWEST := .lowest/bin
BENCH_READY := .venv/.bench-ready
PEERS := .peers/.ready

.PHONY: all
all: lint typecheck test

.PHONY: setup
setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make setup PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	@touch $@

.PHONY: demo
demo: $(READY)
	@$(BIN)/python examples/demo.py

.PHONY: test
test: $(READY)
	$(BIN)/python -X dev -m pytest --numprocesses auto

# As often as docs/reliability.md says, and its table anew; a quarter of an hour or two.
.PHONY: hold
hold: $(READY)
	$(BIN)/python -m pytest tests/hold --hard --figures docs/reliability.md --numprocesses auto

# On the oldest Python that is supported, with the oldest of everything.
.PHONY: lowest
lowest: .lowest/.ready
	$(LOWEST)/python -m pytest --numprocesses auto

.lowest/.ready: pyproject.toml constraints-lowest.txt
	python3.11 -m venv --clear .lowest
	$(LOWEST)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(LOWEST)/python -m pip install --quiet --constraint constraints-lowest.txt --editable ".[all]" --group test
	@touch $@

.PHONY: audit
audit: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group audit
	$(BIN)/python .ci/audit.py

.PHONY: cover
cover: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --cov --cov-report=term-missing:skip-covered

.PHONY: format
format: $(READY)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: lint
lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: typecheck
typecheck: $(READY)
	$(BIN)/mypy

.PHONY: bench
bench: $(BENCH_READY) $(PEERS)
	$(BIN)/python -m benchmarks --plots benchmarks/plots

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	@touch $@

# A folder of their own, that nothing else sees; without them the benchmark says so and goes on.
$(PEERS): pyproject.toml constraints.txt | $(READY)
	rm -rf .peers
	-$(BIN)/python -m pip install --quiet --constraint constraints.txt --target .peers --group peers && touch $@

.PHONY: build
build: $(READY)
	rm -rf dist
	$(BIN)/python -m build

.PHONY: clean
clean:
	rm -rf .venv .lowest .peers dist demo.db demo.db-shm demo.db-wal demo.db.locks
