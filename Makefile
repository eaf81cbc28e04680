# Every command of the project. A fresh machine needs Python 3.11 or 3.12 with venv, and make; the first
# command sets up all the rest, later ones start at once. 'make help' lists what there is.
#
# make itself exits with 2 whenever a command fails, whatever the command's own exit code was. Where the exit
# code matters, call the command: .venv/bin/harness scenario NAME.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

NAME =
TARGET =
TABLE =
VERSION =
VERSIONS =
DATA =
LABEL =
RUN =
HTML =
KEEP =
ARGS =
VENV = .venv
ON_TABLE = $(if $(TABLE),--table $(TABLE)) $(if $(VERSIONS),--versions $(VERSIONS))

# A PYTHON that is given is taken as it is; otherwise the set-up may look for one that will do.
ifeq ($(origin PYTHON),undefined)
PYTHON = $(firstword $(foreach name,python3 python3.11 python3.12,$(shell command -v $(name))) python3)
SEARCH = --search
endif

BOOTSTRAP = $(PYTHON) -I harness/runtime/bootstrap.py $(SEARCH) --venv $(VENV) \
  --java-lock requirements/java.lock --lock requirements/run.lock
BIN = $(VENV)/bin
HARNESS = $(BIN)/harness
# Two at a time, a file by one of them: each has a Spark session that its files share. In the files' own
# order, which has the long ones first; those of Compose, by one of them, wait a third of their time, in which
# the other has both processors.
PYTEST = $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

.NOTPARALLEL:
.PHONY: help setup named run-ready dev-ready calibrate bisect plan list init schema scenario validate attach doctor asset-bundle sweep check runs trace compare ui build up down logs clean clean-runs
.PHONY: test test-fast test-unit test-scenarios test-databricks test-compose images lint types imports format lock bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## set this machine up, or look whether all is there
	@$(BOOTSTRAP) --verify

named:
	@$(if $(NAME),,echo "Name a scenario: make $(MAKECMDGOALS) NAME=three_versions" >&2; exit 2)

run-ready:
	@$(BOOTSTRAP)

dev-ready:
	@$(BOOTSTRAP) --lock requirements/dev.lock

scenario: named run-ready ## run a scenario: NAME=three_versions [TARGET=embedded|compose|databricks] [KEEP=1] [VALIDATE=1] [TABLE=URI [VERSIONS=12,latest]]
	@$(HARNESS) $(if $(VALIDATE),validate,scenario) $(NAME) $(if $(TARGET),--target $(TARGET)) \
	  $(if $(KEEP),--keep) $(ON_TABLE) $(ARGS)

validate: named run-ready ## run a scenario here, then on Databricks, and compare the two: NAME=three_versions
	@$(HARNESS) validate $(NAME) $(if $(TARGET),--target $(TARGET)) $(if $(KEEP),--keep) $(ARGS)

attach: run-ready ## take up a run again that goes on in a workspace: RUN=...
	@$(if $(RUN),,echo "Name a run: make attach RUN=latest" >&2; exit 2)
	@$(HARNESS) attach $(RUN) $(ARGS)

doctor: run-ready ## see whether a target has all that it needs: [TARGET=databricks]
	@$(HARNESS) doctor $(if $(TARGET),--target $(TARGET)) $(ARGS)

asset-bundle: named run-ready ## write a Databricks Asset Bundle that runs a scenario on a schedule: NAME=...
	@$(HARNESS) asset-bundle $(NAME) $(ARGS)

sweep: run-ready ## remove what has expired in the workspace
	@$(HARNESS) sweep $(ARGS)

calibrate: named run-ready ## propose bounds from runs with other seeds: NAME=... [TABLE=URI [VERSIONS=12,13]] [ARGS="--repeats 10"]
	@$(HARNESS) calibrate $(NAME) $(if $(TARGET),--target $(TARGET)) $(ON_TABLE) $(ARGS)

bisect: named run-ready ## find the version at which a bound began to fail: NAME=... [TABLE=URI VERSIONS=9,10,11] [ARGS="--bound test_roc_auc"]
	@$(HARNESS) bisect $(NAME) $(if $(TARGET),--target $(TARGET)) $(ON_TABLE) $(ARGS)

check: run-ready ## look for mistakes in a scenario without running it: NAME=...
	@$(HARNESS) check $(NAME) $(ARGS)

plan: named run-ready ## show what a scenario will do and cost, without Spark: NAME=...
	@$(HARNESS) plan $(NAME) $(ON_TABLE) $(ARGS)

list: run-ready ## list the scenarios, with what their newest runs came to
	@$(HARNESS) list $(ARGS)

init: named run-ready ## write a first scenario from a data file: NAME=... DATA=... LABEL=... [ARGS="--positive yes"]
	@$(if $(and $(DATA),$(LABEL)),,echo "Name a file and a column: make init NAME=$(NAME) DATA=... LABEL=..." >&2; exit 2)
	@$(HARNESS) init $(NAME) --data $(DATA) --label $(LABEL) $(ARGS)

schema: run-ready ## write the scenario file's JSON Schema anew, after a change of the language
	@$(HARNESS) schema --out harness/scenario.schema.json $(ARGS)

runs: run-ready ## list the runs [of one table: TABLE=lc_loan [of one of its versions: VERSION=0]]
	@$(HARNESS) runs $(if $(TABLE),--table $(TABLE)) $(if $(VERSION),--version $(VERSION)) $(ARGS)

trace: run-ready ## show what a run was made from: RUN=...
	@$(HARNESS) trace $(RUN) $(ARGS)

compare: run-ready ## compare two runs: A=... B=... [latest is the newest] [HTML=FILE, a page of both side by side]
	@$(HARNESS) compare $(A) $(B) $(if $(HTML),--html $(HTML)) $(ARGS)

ui: run-ready ## show where MLflow's pages are: the stack's, or served here
	@$(HARNESS) ui $(if $(TARGET),--target $(TARGET)) $(ARGS)

build: run-ready ## build the images of the Compose stack that are not there yet
	@$(HARNESS) build $(ARGS)

up: run-ready ## bring the Compose stack up, with its images [WORKERS=3]
	@$(HARNESS) up $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

down: run-ready ## take the Compose stack down; its data stays
	@$(HARNESS) down $(ARGS)

logs: run-ready ## show what the stack's services say [ARGS="mlflow --follow"]
	@$(HARNESS) logs $(ARGS)

clean: run-ready ## remove the stack: containers, volumes, images and secrets of this project
	@$(HARNESS) clean --stack $(ARGS)

clean-runs: run-ready ## remove old runs and their tables: KEEP=5 keeps the newest five
	@$(HARNESS) clean $(if $(KEEP),--keep $(KEEP)) $(ARGS)

test: lint types imports images ## all checks and all tests; those of Compose where an engine is there
	@$(PYTEST) $(ARGS)

test-fast: dev-ready ## the tests without linters, Compose and the stand-in for a workspace
	@$(PYTEST) tests/embedded tests/unit $(ARGS)

test-unit: dev-ready ## the tests that start no Spark
	@$(PYTEST) tests/unit $(ARGS)

test-scenarios: dev-ready ## the scenarios that ship, as they are
	@$(PYTEST) tests/embedded/test_shipped.py tests/embedded/test_three_versions.py $(ARGS)

test-databricks: dev-ready ## the tests of the Databricks target, on a stand-in for a workspace
	@$(PYTEST) tests/databricks $(ARGS)

test-compose: images ## the tests of the Compose target [KEEP=1: their stack stays]
	@KEEP=$(KEEP) $(BIN)/pytest tests/compose $(ARGS)

images: dev-ready
	@if docker info >/dev/null 2>&1; then $(HARNESS) build; fi

lint: dev-ready ## style, format and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell

types: dev-ready ## the types
	@$(BIN)/mypy

imports: dev-ready ## who may import whom
	@$(BIN)/lint-imports

format: dev-ready ## put the code into the common format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: dev-ready ## write the lock files anew; UPGRADE=1 takes the newest versions
	@$(COMPILE) pyproject.toml --extra local -o requirements/run.lock
	@$(COMPILE) pyproject.toml --extra local --extra dev -c requirements/run.lock -o requirements/dev.lock
	@$(COMPILE) pyproject.toml requirements/spark.in -c requirements/run.lock -o requirements/spark.lock
	@for image in mlflow wheel; do \
	  $(COMPILE) requirements/$$image.in -c requirements/run.lock -o requirements/$$image.lock || exit; done
	@for runtime in tests/databricks/standin/runtimes/*.in; do \
	  $(COMPILE) $$runtime -o $${runtime%.in}.lock || exit; done
	@$(COMPILE) docker/azurite/requirements.in -o docker/azurite/requirements.lock
	@$(BIN)/python -c 'import tomllib; \
	  project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*project["optional-dependencies"]["java"], sep="\n")' | $(COMPILE) - -o requirements/java.lock
	@$(BIN)/python -m harness.runtime.setup lock

bench: dev-ready ## measure how long things take: beside the work by hand, on the stand-in, in Compose where an engine is
	@$(BIN)/python -m tests.bench $(ARGS)
	@$(BIN)/python -m tests.bench.databricks
	@if docker compose version >/dev/null 2>&1; then $(BIN)/python -m tests.bench.compose $(ARGS); fi
