# Every target sets up what it needs and ends with one line that a script can read: "<target>: ok ...".
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.alliance-run
SETUP_DEV := $(VENV)/.alliance-dev
SETUP_BENCH := $(VENV)/.alliance-bench
SETUP_DOCS := $(VENV)/.alliance-docs
# Searches keep a core busy each; tests wait for servers and disks now and then, and another one goes on meanwhile.
SEARCHERS = $(or $(WORKERS),2)
TESTERS = $(or $(WORKERS),3)
# Tests and campaigns start hundreds of processes, and each would compile all that it imports: 1.1 s, not 0.5 s.
export PYTHONDONTWRITEBYTECODE :=
# What is tested within one process, or nearly so; no campaign.
UNITS := $(addprefix tests/,alliance checks consensus execution fab_paxos quorum shoup_rsa signing verifiable_log)

.PHONY: help demo test quick check campaigns sim crossings explore twins bugs fuzz fuzz-crypto robbery mutants attacks long drill change epochs lasting bench \
	bench-peers bench-scale bench-crypto bench-receipts docs protos clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)
	@echo "help: ok"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "alliance needs Python 3.11 or newer; say PYTHON=python3.12 for another one")'
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }

$(SETUP): setup.cfg | $(BIN)/python
	@echo "setting up $(VENV) (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(SETUP_DEV): setup.cfg | $(BIN)/python
	@echo "setting up $(VENV) with the tools of the tests (once)" >&2
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(SETUP)

$(SETUP_BENCH): setup.cfg | $(BIN)/python
	@echo "setting up $(VENV) with what the benchmarks need (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ $(SETUP)

$(SETUP_DOCS): setup.cfg | $(BIN)/python
	@echo "setting up $(VENV) with what builds the site (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ $(SETUP)

demo: $(SETUP) ## six organisations decide; members die, the leader too; one lies; openssl verifies
	@$(BIN)/alliance demo
	@echo "demo: ok"

test: $(SETUP_DEV) ## everything that CI runs: check, then all tests
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n $(TESTERS) --dist worksteal tests
	@echo "test: ok"

quick: $(SETUP_DEV) ## the unit tests alone, for the daily round
	@$(BIN)/python -m pytest -n $(TESTERS) --dist worksteal $(UNITS)
	@echo "quick: ok"

check: $(SETUP_DEV) ## ruff, mypy --strict, import rules, generated code and tables, commit subjects
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python protos/generate.py --check
	@$(BIN)/python docs/tables.py --check
	@$(BIN)/python -m tests.checks.commits
	@echo "check: ok"

# Numbers that are given, such as SEEDS=1000000, are handed on.
campaigns: $(SETUP_DEV) ## every search below, for hours: make campaigns SEEDS=20000 SCENARIOS=100000 SAMPLE=300 SECONDS=120
	@$(MAKE) --no-print-directory sim SEEDS=$(or $(SEEDS),20000)
	@$(MAKE) --no-print-directory crossings SEEDS=$(or $(SEEDS),20000)
	@$(MAKE) --no-print-directory twins SCENARIOS=$(or $(SCENARIOS),100000)
	@$(MAKE) --no-print-directory explore bugs fuzz fuzz-crypto robbery mutants attacks long drill change epochs lasting
	@echo "campaigns: ok"

# One seed alone tells its plan when it is shrunk; a campaign kept in FIGURES goes on where it was stopped.
sim: $(SETUP_DEV) ## simulated alliances: make sim SEED=7, SEEDS=10000, KIND=twin, PROFILE=lean, FIGURES=file, SHRINK=1
	@$(BIN)/python -m tests.campaigns.simulation.run --seed $(or $(SEED),0) --seeds $(or $(SEEDS),$(if $(SEED),1,1000)) \
		--workers $(SEARCHERS) $(if $(KIND),--kind '$(KIND)') $(if $(PROFILE),--profile $(PROFILE)) $(if $(FIGURES),--figures $(FIGURES)) \
		$(if $(SHRINK),--shrink)

crossings: $(SETUP_DEV) ## the same, from epoch to epoch: make crossings SEED=7, SEEDS=10000, KIND=idler, NEW_KEYS=1, FIGURES=file
	@$(BIN)/python -m tests.campaigns.simulation.crossing --seed $(or $(SEED),0) --seeds $(or $(SEEDS),$(if $(SEED),1,200)) \
		--workers $(SEARCHERS) $(if $(KIND),--kind '$(KIND)') $(if $(NEW_KEYS),--new-keys) $(if $(FIGURES),--figures $(FIGURES))

explore: $(SETUP_DEV) ## every state of small instances: make explore VIEWS=2 SLOTS=1 NEWS=2 RESTARTS=0 VALUES=AB STATES=0 (0: all) LEAN=1
	@$(BIN)/python -m tests.campaigns.explorer.run --views $(or $(VIEWS),2) --slots $(or $(SLOTS),1) \
		--states $(or $(STATES),0) --values $(or $(VALUES),AB) --restarts $(or $(RESTARTS),0) --news $(or $(NEWS),2) $(if $(LEAN),--lean)

twins: $(SETUP_DEV) ## one identity, two engines: make twins SCENARIOS=10000 (0: all 3,538,944) FIRST=0 LEAN=1
	@$(BIN)/python -m tests.campaigns.explorer.run_twins --scenarios $(or $(SCENARIOS),10000) --first $(or $(FIRST),0) $(if $(LEAN),--lean)

bugs: $(SETUP_DEV) ## plant small bugs, one at a time; each must be found: make bugs ONLY=journal WRITE=1 WAITING=1
	@$(BIN)/python -m tests.campaigns.planted.run --workers $(SEARCHERS) $(if $(ONLY),--only '$(ONLY)') $(if $(WAITING),--waiting) $(if $(WRITE),--write)
	@echo "bugs: ok"

fuzz: $(SETUP_DEV) ## nearly valid bytes into every decoder: make fuzz SECONDS=120 SEED=0 (GUIDED=1: by coverage)
	@$(if $(GUIDED),$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]')
	@$(BIN)/python -m tests.campaigns.fuzz.$(if $(GUIDED),guided,run) --seconds $(or $(SECONDS),120) --seed $(or $(SEED),0)
	@echo "fuzz: ok"

fuzz-crypto: $(SETUP_DEV) ## bad bytes into the decoders of shoup_rsa: make fuzz-crypto EXECUTIONS=10000000 SEED=1
	@$(BIN)/python -m tests.campaigns.fuzz.shoup_rsa --executions $(or $(EXECUTIONS),1000000) --seed $(or $(SEED),0)
	@echo "fuzz-crypto: ok" >&2

robbery: $(SETUP_DEV) ## damaged, cut and exchanged files of killed members: make robbery CASES=1000 FIRST=0
	@$(BIN)/python -m tests.campaigns.robbery.run --cases $(or $(CASES),1000) --first $(or $(FIRST),0)
	@echo "robbery: ok"

attacks: $(SETUP_DEV) ## what clients and strangers can do to real servers: make attacks ONLY=silent SECONDS=20
	@$(BIN)/python -m tests.attacks $(or $(ONLY),all) --seconds $(or $(SECONDS),20)
	@echo "attacks: ok"

long: $(SETUP_DEV) ## the tests that take too long for make test
	@$(BIN)/python -m pytest -n $(TESTERS) --dist worksteal -m campaign tests
	@echo "long: ok"

drill: $(SETUP_DEV) ## real servers lose more members than they can do without, and are recovered: two minutes
	@$(BIN)/python -m tests.campaigns.recovery.run
	@echo "drill: ok"

change: $(SETUP_DEV) ## real servers, of which one is replaced, one comes, and all get new shares: alliance demo --change
	@$(BIN)/alliance demo --change
	@echo "change: ok"

epochs: $(SETUP_DEV) ## real servers from epoch to epoch, killed and paused: make epochs RUNS=20 SEED=0
	@$(BIN)/python -m tests.campaigns.epochs.run --runs $(or $(RUNS),20) --seed $(or $(SEED),0)
	@echo "epochs: ok"

lasting: $(SETUP_DEV) ## members go through fifty epochs, and nothing grows but the log: make lasting EPOCHS=50
	@$(BIN)/python -m tests.campaigns.epochs.lasting --epochs $(or $(EPOCHS),50)
	@echo "lasting: ok"

mutants: $(SETUP_DEV) ## wrong versions of shoup_rsa that tests must notice: make mutants SAMPLE=300 SEED=1; 0: all
	@$(BIN)/python -m tests.campaigns.mutants.run --sample $(or $(SAMPLE),300) --seed $(or $(SEED),0)
	@echo "mutants: ok" >&2

bench-crypto: $(SETUP) ## what threshold RSA costs, beside the goals: make bench-crypto ARGS="--keys 0"
	@$(BIN)/python benchmarks/crypto.py $(ARGS)
	@echo "bench-crypto: ok" >&2

bench-receipts: $(SETUP) ## how large receipts are, and what it takes to check them
	@$(BIN)/python -m benchmarks.receipts
	@echo "bench-receipts: ok" >&2

bench: $(SETUP_BENCH) ## real servers under load, with the ceiling: make bench ARGS='--full'
	@$(BIN)/python -m benchmarks run $(ARGS)
	@echo "bench: ok"

bench-peers: $(SETUP_BENCH) ## beside etcd, ZooKeeper and PySyncObj; INSTALL=1 installs what is missing
	@$(if $(INSTALL),apt-get install -y --no-install-recommends etcd-server zookeeper >&2,true) || true
	@$(if $(INSTALL),$(BIN)/python -m pip install --quiet --disable-pip-version-check pysyncobj,true) || true
	@$(BIN)/python -m benchmarks peers $(ARGS)
	@echo "bench-peers: ok"

bench-scale: $(SETUP_BENCH) ## how costs grow with the members, in a simulated wide area
	@$(BIN)/python -m benchmarks scale $(ARGS)
	@echo "bench-scale: ok"

docs: $(SETUP_DOCS) ## the documents as a site with all commands and interfaces, in build/docs
	@$(BIN)/python docs/tables.py --check
	@$(BIN)/python -m sphinx -E -W -n -q --keep-going -c docs -d build/doctrees . build/docs
	@echo "docs: ok"

protos: $(SETUP_DEV) ## generate alliance/pb from protos/
	@$(BIN)/python protos/generate.py
	@echo "protos: ok"

clean: ## remove the virtual environment, the site and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache *.egg-info build docs/reference/api
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean: ok"
