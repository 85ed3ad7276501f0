# `make` lists the targets. None needs sudo or an AWS account; all use .venv, which `make setup` makes.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where it is set, every Airflow process compiles all of Airflow again, which takes longer than its work.
unexport PYTHONDONTWRITEBYTECODE

# A file is one process's, since its tests share what takes long to start; tests/conftest.py says how many processes and
# in which order.
PYTEST := .venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
ARGS ?=
FILES ?=
ROWS ?=
AIRFLOW ?=
SEED ?=
SCHEDULES ?=

.PHONY: help setup demo test test-airflow coverage lint lint-template format test-matrix test-chaos test-fuzz test-stack test-system simulate bench audit docs dist mwaa clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv with everything at pinned versions
	@tools/setup

demo: setup ## Run the main job on a laptop, without AWS; FILES="a.pdf b.png" for your own files
	@.venv/bin/airflow-bda demo $(FILES)

# Lines cost nothing to count on Python 3.12 and later (sys.monitoring), branches cost as much as the tests themselves
# before 3.14. Some tests alone say nothing about the floor.
test: setup ## Run the tests; ARGS="-k token" picks some. A whole run also needs the coverage that pyproject.toml asks for
	COVERAGE_CORE=sysmon $(PYTEST) $(if $(ARGS),$(ARGS),-m "not (chaos or fuzz or running_airflow)" --cov --cov-report=)

test-airflow: setup ## Run the tests on the processes of a running Airflow: kills, clears, retries, events, forms
	$(PYTEST) -m "running_airflow and not chaos" $(ARGS)

coverage: setup ## Run the same tests and count branches as well as lines; takes twice as long
	$(PYTEST) -m "not (chaos or fuzz or running_airflow)" --cov --cov-branch --cov-report=term:skip-covered $(ARGS)

lint: setup ## Check style and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

lint-template: setup ## Have checkov look at the Lambda template
	@.venv/bin/python tools/check_template.py

format: setup ## Put the style right where a tool can
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

test-matrix: dist ## Test the built wheel on each supported Airflow; ROWS="3.0.6 newest" picks some
	@.venv/bin/python tools/matrix.py $(ROWS)

test-chaos: setup ## Run the tests that kill processes and drop connections
	$(PYTEST) -m chaos $(ARGS)

test-fuzz: setup ## Run the tests with random input for long; FUZZ_EXAMPLES=100000 for an hour
	$(PYTEST) -m fuzz $(ARGS)

test-stack: setup ## Bring docker-compose.yaml up, run every example, look at the UI, take it down; needs Docker
	@.venv/bin/python tools/test_stack.py

test-system: setup ## Run the tests on a real AWS account; tests/system/conftest.py says how to name it
	.venv/bin/python -m pytest tests/system $(ARGS)

simulate: setup ## Run batches through 20,000 schedules of faults in simulated time; SEED=n replays one, SCHEDULES=n sets how many
	@.venv/bin/python tools/simulate.py $(if $(SEED),--seed $(SEED)) $(if $(SCHEDULES),--schedules $(SCHEDULES))

bench: setup ## Run the benchmarks and print `name value` lines beside their tables
	@.venv/bin/python benchmarks/waiting.py
	@.venv/bin/python benchmarks/detection.py
	@.venv/bin/python benchmarks/request_building.py
	@.venv/bin/python benchmarks/batch.py
	@.venv/bin/python benchmarks/batch_mapped.py
	@.venv/bin/python benchmarks/results.py
	@.venv/bin/python benchmarks/report.py

audit: setup ## Ask the advisory database about every pinned dependency; needs the network; ROWS="newest build" picks some
	@.venv/bin/python tools/audit.py $(ROWS)

docs: setup ## Build the manual into docs/_build/html; a warning is an error
	@# All of it anew, since the pages are made from the program as well.
	@.venv/bin/sphinx-build -W --keep-going -E -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

dist: setup ## Build wheel and sdist into dist/, check them, and list what they need (SBOM)
	@.venv/bin/python tools/build.py

mwaa: dist ## Write and try plugins.zip and requirements.txt for Amazon MWAA; AIRFLOW=3.0.6 picks its version
	@.venv/bin/python tools/mwaa.py $(AIRFLOW)

clean: ## Remove what the other targets made
	rm -rf .venv .venvs .tools .demo .stack .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
