# Every command of the project; 'make help' lists them. A fresh machine needs make, and Python 3.11 or 3.12 with
# venv. The first command sets up everything else; later ones start at once.
#
# make exits with 2 whenever a command fails, whatever that command's exit code was. If you need the exit code,
# call the command itself: .venv/bin/harness scenario NAME.
#
# Values reach a command exactly as they were typed: DATA="my loans.csv" LABEL="Left (Y/N)". The next lines stop
# make from expanding a '$' in a value. Recipes read values from the environment ("$$DATA"), so that the shell
# expands nothing either: never write $(DATA) into a command. ARGS has several words, quoted as in a shell (see
# with_args.py). Positional values follow '--', as they may start with a dash.
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),\
  $(eval override export $(name) := $$(value $(name)))))

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Set on the command line only: variables of the environment with these names are not meant for make.
A =
B =
NAME =
TARGET =
TABLE =
VERSION =
VERSIONS =
DATA =
LABEL =
MODEL =
RUN =
HTML =
FRESH =
KEEP =
KEEP_RUNS =
VALIDATE =
WORKERS =
FORCE =
ARGS =
export VENV = .venv
ON_TARGET = $${TARGET:+--target "$$TARGET"}
ON_TABLE = $${TABLE:+--table "$$TABLE"} $${VERSIONS:+--versions "$$VERSIONS"}

# If PYTHON is set, setup uses exactly that one; otherwise it may search for a suitable one.
ifeq ($(origin PYTHON),undefined)
export PYTHON := $(firstword $(foreach name,python3 python3.11 python3.12,$(shell command -v $(name))) python3)
SEARCH = --search
endif

BOOTSTRAP = "$$PYTHON" -I harness/runtime/bootstrap.py $(SEARCH) --venv "$$VENV" \
  --java-lock requirements/java.lock --lock requirements/run.lock
BIN = "$$VENV"/bin
WITH_ARGS = $(BIN)/python -I harness/runtime/with_args.py
HARNESS = $(WITH_ARGS) $(BIN)/harness
# Two processes. Each runs whole files, which share one Spark session, in the files' own order: the slow ones
# come first. One process runs all Compose tests, and waits a third of that time; the other one then has both
# cores.
PYTEST = $(WITH_ARGS) $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=40 ARGS
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

# The commands import what is installed, whatever this shell's Python path is.
unexport PYTHONPATH PYTHONHOME

.NOTPARALLEL:
.PHONY: help setup named run-ready dev-ready calibrate bisect prove proofs plan list init schema scenario watch resume publish rollback validate attach doctor asset-bundle sweep check runs history trace report replay retain compare ui docker-ready build up down restart ps logs clean clean-runs
.PHONY: test test-faults test-fast test-unit test-scenarios test-databricks test-compose images lint types imports format lock bench false-alarms

help: ## list the make targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## set up this machine, or check that nothing is missing
	@$(BOOTSTRAP) --verify

named:
	@$(if $(NAME),,echo "Name a scenario: make $(MAKECMDGOALS) NAME=three_versions" >&2; exit 2)

run-ready:
	@$(BOOTSTRAP)

dev-ready:
	@$(BOOTSTRAP) --lock requirements/dev.lock

scenario: named run-ready ## run a scenario: NAME=three_versions [TARGET=embedded|compose|databricks] [FRESH=1] [KEEP=1] [VALIDATE=1] [TABLE=name or URI [VERSIONS=12,latest]]
	@$(HARNESS) $(if $(VALIDATE),validate,scenario) ARGS $(ON_TARGET) $(if $(FRESH),--fresh) $(if $(KEEP),--keep) $(ON_TABLE) -- "$$NAME"

validate: named run-ready ## run a scenario locally, then on Databricks, and compare the two runs: NAME=three_versions [FRESH=1] [TABLE=name or URI [VERSIONS=12,latest]]
	@$(HARNESS) validate ARGS $(ON_TARGET) $(if $(FRESH),--fresh) $(if $(KEEP),--keep) $(ON_TABLE) -- "$$NAME"

watch: named run-ready ## run a scenario again each time one of its files changes: NAME=three_versions [TARGET=embedded|compose] [KEEP=1] [TABLE=name or URI [VERSIONS=12,latest]]
	@$(HARNESS) watch ARGS $(ON_TARGET) $(if $(KEEP),--keep) $(ON_TABLE) -- "$$NAME"

resume: run-ready ## resume a run that ended without a verdict: RUN=latest
	@$(if $(RUN),,echo "Name a run: make resume RUN=latest" >&2; exit 2)
	@$(HARNESS) resume ARGS -- "$$RUN"

publish: run-ready ## copy a passed run's models to a model store: RUN=latest TO=NAME [ARGS="--version NAME"]
	@$(if $(and $(RUN),$(TO)),,echo "Name a run and a store: make publish RUN=latest TO=models" >&2; exit 2)
	@$(HARNESS) publish ARGS --to "$$TO" -- "$$RUN"

rollback: run-ready ## let a registered model's alias point to the version before: MODEL=... [TARGET=...] [ARGS="--alias champion"]
	@$(if $(MODEL),,echo "Name a registered model: make rollback MODEL=main.risk.loan" >&2; exit 2)
	@$(HARNESS) rollback ARGS $(ON_TARGET) -- "$$MODEL"

attach: run-ready ## follow a run that continues in a workspace until its verdict: RUN=...
	@$(if $(RUN),,echo "Name a run: make attach RUN=latest" >&2; exit 2)
	@$(HARNESS) attach ARGS -- "$$RUN"

doctor: run-ready ## check that a target has everything it needs: [TARGET=databricks]
	@$(HARNESS) doctor ARGS $(ON_TARGET)

asset-bundle: named run-ready ## write a Declarative Automation Bundle for Databricks that runs a scenario on a schedule: NAME=... [TABLE=name [VERSIONS=latest]] [ARGS=--on-update]
	@$(HARNESS) asset-bundle ARGS $(ON_TABLE) -- "$$NAME"

sweep: run-ready ## delete expired uploads and tables in the workspace
	@$(HARNESS) sweep ARGS

calibrate: named run-ready ## propose bounds from runs with different seeds: NAME=... [TABLE=name or URI [VERSIONS=12,13]] [ARGS="--repeats 10"]
	@$(HARNESS) calibrate ARGS $(ON_TARGET) $(ON_TABLE) -- "$$NAME"

bisect: named run-ready ## find the version at which a bound started to fail: NAME=... [TABLE=name or URI VERSIONS=9,10,11] [ARGS="--bound test_roc_auc"]
	@$(HARNESS) bisect ARGS $(ON_TARGET) $(ON_TABLE) -- "$$NAME"

prove: named run-ready ## inject faults into a version's new rows, and show which bounds catch them: NAME=... [QUICK=1] [TABLE=URI VERSIONS=11,12]
	@$(HARNESS) prove ARGS $(ON_TARGET) $(if $(QUICK),--quick) $(ON_TABLE) -- "$$NAME"

proofs: run-ready ## rewrite docs/proofs.md: which faults the shipped scenarios catch, on this machine
	@HARNESS_TARGET=embedded $(BIN)/python -m harness.studies.proving.write_proofs docs/proofs.md

check: run-ready ## find mistakes in a scenario without running it: NAME=...
	@$(HARNESS) check ARGS $${NAME:+-- "$$NAME"}

plan: named run-ready ## show what a scenario will do and cost, without Spark: NAME=... [TABLE=name or URI [VERSIONS=12,latest]]
	@$(HARNESS) plan ARGS $(ON_TABLE) -- "$$NAME"

list: run-ready ## list the scenarios, each with the verdict of its newest run
	@$(HARNESS) list ARGS

init: named run-ready ## write a first scenario from a data file: NAME=... DATA=... LABEL=... [ARGS="--positive yes"]
	@$(if $(and $(DATA),$(LABEL)),,echo "Name a file and a column: make init NAME=... DATA=... LABEL=..." >&2; exit 2)
	@$(HARNESS) init ARGS --data "$$DATA" --label "$$LABEL" -- "$$NAME"

schema: run-ready ## rewrite the JSON Schema of the scenario file, after a change to the language
	@$(HARNESS) schema --out harness/scenario.schema.json ARGS

runs: run-ready ## list tracked runs, or write a page about the kept ones: [HTML=1] [NAME=scenario] [TABLE=lc_loan [VERSION=0]] [TARGET=...]
	@$(HARNESS) runs ARGS $(ON_TARGET) $(if $(HTML),--html) $${NAME:+--scenario "$$NAME"} $${TABLE:+--table "$$TABLE"} $${VERSION:+--version "$$VERSION"}

trace: run-ready ## show what a run was trained on and what it measured: RUN=... [TARGET=...]
	@$(HARNESS) trace ARGS $(ON_TARGET) -- "$$RUN"

report: run-ready ## regenerate the reports of a past run: RUN=latest
	@$(if $(RUN),,echo "Name a run: make report RUN=latest" >&2; exit 2)
	@$(HARNESS) report ARGS -- "$$RUN"

replay: run-ready ## retrain a version from its MLflow run and compare the results: RUN_ID=... [TARGET=...] [ARGS="--from compose"]
	@$(if $(RUN_ID),,echo "Name a version's MLflow run: make replay RUN_ID=..." >&2; exit 2)
	@$(HARNESS) replay ARGS $(ON_TARGET) -- "$$RUN_ID"

history: run-ready ## list the versions of a Delta table, and the runs that were trained on each: TABLE=name or URI [ARGS="--limit 50"]
	@$(if $(TABLE),,echo "Name a table: make history TABLE=path/of/its/folder" >&2; exit 2)
	@$(HARNESS) history ARGS -- "$$TABLE"

retain: run-ready ## check that tables keep the versions that published models were trained from: [TABLE=name or URI] [ARGS="--days 30"]
	@$(HARNESS) retain ARGS $${TABLE:+-- "$$TABLE"}

compare: run-ready ## compare two runs: A=... B=... ('latest' is the newest) [HTML=FILE for a page with both side by side]
	@$(HARNESS) compare ARGS $${HTML:+--html "$$HTML"} -- "$$A" "$$B"

ui: run-ready ## show the address of MLflow's pages: the stack's, or served locally
	@$(HARNESS) ui ARGS $(ON_TARGET)

# Before the setup, which downloads 0.6 GB.
docker-ready:
	@command -v docker >/dev/null || { \
	  echo "Docker is not installed on this machine." >&2; \
	  echo "  Install Docker with Compose v2 and start it, or use TARGET=embedded." >&2; exit 3; }
	@reason=$$(docker info --format '{{.ServerVersion}}' 2>&1 >/dev/null) || { \
	  echo "The Docker engine doesn't answer: $$(echo "$$reason" | tail -n 1)" >&2; \
	  echo "  Start it (systemctl start docker), join the group 'docker', or use TARGET=embedded." >&2; exit 3; }

build: docker-ready run-ready ## build the missing images of the Compose stack
	@$(HARNESS) build ARGS

up: docker-ready run-ready ## start the Compose stack, and build missing images [WORKERS=3]
	@$(HARNESS) up ARGS $${WORKERS:+--workers "$$WORKERS"}

down: docker-ready run-ready ## stop the Compose stack; its data stays
	@$(HARNESS) down ARGS

restart: docker-ready run-ready ## restart the stack's services, and wait until they are healthy [ARGS="mlflow"]
	@$(HARNESS) restart ARGS

ps: docker-ready run-ready ## show the state of the stack's services
	@$(HARNESS) ps ARGS

logs: docker-ready run-ready ## show the logs of the stack's services [ARGS="mlflow --follow"]
	@$(HARNESS) logs ARGS

clean: docker-ready run-ready ## delete the stack, after a question: containers, data, images, secrets, build cache [FORCE=1]
	@$(HARNESS) clean --stack $(if $(FORCE),--force) ARGS

clean-runs: run-ready ## delete all but the newest runs with their tables and bundles, and what killed runs left: KEEP_RUNS=5 [ARGS=--dry-run]
	@$(HARNESS) clean ARGS $${KEEP_RUNS:+--keep-runs "$$KEEP_RUNS"}

test: lint types imports images ## run all checks and all tests; Compose tests only if a Docker engine is ready
	@$(PYTEST)

test-fast: dev-ready ## run the unit and embedded tests, without linters
	@$(PYTEST) tests/embedded tests/unit

test-unit: dev-ready ## run the tests that need no Spark
	@$(PYTEST) tests/unit

test-scenarios: dev-ready ## run the shipped scenarios unchanged
	@$(PYTEST) tests/embedded/test_shipped.py tests/embedded/test_three_versions.py

test-databricks: dev-ready ## run the tests of the Databricks target, on the stand-in for a workspace
	@$(PYTEST) tests/databricks

test-compose: images ## run the tests of the Compose target [KEEP=1 keeps their stack]
	@KEEP="$$KEEP" $(WITH_ARGS) $(BIN)/pytest tests/compose ARGS

images: dev-ready
	@if docker info >/dev/null 2>&1; then $(BIN)/harness build; fi

lint: dev-ready ## check style, format and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell

types: dev-ready ## check types
	@$(BIN)/mypy

imports: dev-ready ## check the import layers
	@$(BIN)/lint-imports

format: dev-ready ## fix and format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

test-faults: dev-ready ## kill processes of runs at random moments, and look for what they leave [ARGS="--kills 200 --seed 1 --target compose"]
	@$(WITH_ARGS) $(BIN)/python -m tests.faults ARGS

false-alarms: dev-ready ## measure how often the standard gate fails on unchanged synthetic loans [ARGS=200: number of seeds]
	@$(WITH_ARGS) $(BIN)/python -m tests.bench.false_alarms ARGS

lock: dev-ready ## rewrite the lock files and the lists of parts (SBOM); UPGRADE=1 takes the newest versions
	@$(COMPILE) pyproject.toml --extra local -o requirements/run.lock
	@$(COMPILE) pyproject.toml --extra local --extra dev -c requirements/run.lock -o requirements/dev.lock
	@$(COMPILE) pyproject.toml requirements/spark.in -c requirements/run.lock -o requirements/spark.lock
	@for image in mlflow wheel; do \
	  $(COMPILE) requirements/$$image.in -c requirements/run.lock -o requirements/$$image.lock || exit; done
	@for runtime in tests/databricks/standin/runtimes/*.in; do \
	  $(COMPILE) $$runtime -o $${runtime%.in}.lock || exit; done
	@$(COMPILE) docker/azurite/requirements.in -o docker/azurite/requirements.lock
	@$(COMPILE) tests/bench/dvc.in -o tests/bench/dvc.lock
	@$(BIN)/python -c 'import tomllib; \
	  project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*project["optional-dependencies"]["java"], sep="\n")' | $(COMPILE) - -o requirements/java.lock
	@$(BIN)/python -m harness.runtime.setup lock
	@$(BIN)/python -I requirements/write_sboms.py

bench: dev-ready ## measure performance: against the same work by hand, with DVC and bare, per version and per night, on the stand-in, and in Compose if Docker is ready
	@$(WITH_ARGS) $(BIN)/python -m tests.bench ARGS
	@$(BIN)/python -m tests.bench.dvc_stages
	@$(BIN)/python -m tests.bench.bare
	@$(BIN)/python -m tests.bench.versions
	@$(BIN)/python -m tests.bench.nightly
	@$(BIN)/python -m tests.bench.databricks
	@if docker compose version >/dev/null 2>&1; then $(WITH_ARGS) $(BIN)/python -m tests.bench.compose ARGS; fi
