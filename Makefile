# The two commands: `make demo` and `make test`.  Each makes its own virtual environment in .venv first, with nothing
# but Python (3.10 or newer) on the machine; when nothing changed, it starts at once.  `make help` lists the rest.

PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python

# Which Python it is; part of the stamps' names, so that another PYTHON makes a new environment.
VERSION := $(shell "$(PYTHON)" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || echo none)

# A stamp is written last: an environment that was left half-made has none and is made anew.
BASE  := $(VENV)/stamp-$(VERSION)
DEMO  := $(BASE)-demos
TEST  := $(BASE)-test
DEV   := $(BASE)-dev
BENCH := $(BASE)-bench

# Small matrices: more than one thread makes them slower.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

# How many processes run the tests.
CORES ?= auto

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo report test lint types docs fuzz ranks mutants reference notebooks figures bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'
	@echo 'With another Python: make test PYTHON=python3.12'
	@echo 'With options:        make demo ARGS="--only bn_activity --seeds 8"; make bench ARGS=--quick'

demo: $(DEMO)  ## run all demos and write out/report.html; FULL=1: the sizes of the papers, which takes long
	@$(RUN) -m demos $(if $(FULL),--full) $(ARGS)

# The results of `make demo`, or, before it ever ran, those that the documentation shows.
report: $(DEMO)  ## write out/report.html from kept results, in seconds: make report FROM=docs/measured/results.json
	@$(RUN) -m demos --again $(or $(FROM),$(wildcard out/results.json),docs/measured/results.json) $(ARGS)

test: $(TEST)  ## all tests; fails unless engine and ops are covered, lines and branches
	@$(RUN) -m pytest -n $(CORES) --cov --cov-report=
	@$(RUN) -m coverage report --include='tinygrad_bn/engine/*,tinygrad_bn/ops/*' --skip-covered --fail-under=100

lint: $(DEV)  ## style and mistakes (ruff)
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

types: $(DEV)  ## static types (mypy, strict)
	@$(RUN) -m mypy

docs: $(TEST)  ## run every example of the documentation
	@$(RUN) -m pytest tests/docs

fuzz: $(TEST)  ## random programs against PyTorch, and compiled: make fuzz N=20000
	@$(RUN) -m tests.fuzz $(or $(N),10000) $(SEED)
	@$(RUN) -m tests.compiler.fuzzed $(or $(N),10000) $(SEED)

ranks: $(TEST)  ## random networks with Batch Normalization on 3 processes, against one: make ranks N=1000
	@$(RUN) -m tinygrad_bn run -n 3 tests/parallel/random_programs.py $(or $(N),200) $(SEED)

mutants: $(TEST)  ## plant faults one by one and see which test notices; about ten minutes
	@$(RUN) -m tests.mutants

reference: $(TEST)  ## write docs/reference.md from the docstrings
	@$(RUN) docs/make_reference.py

notebooks: $(TEST)  ## run the notebooks and keep what they show
	@$(RUN) docs/make_notebooks.py

figures: $(TEST)  ## fill the measurements in the documentation: make figures FROM=out/results.json
	@$(RUN) docs/make_measured.py $(FROM)

bench: $(BENCH)  ## speed and memory, eager and compiled, against PyTorch, JAX, autograd and micrograd
	@$(RUN) -m tests.benchmarks $(ARGS)

clean:  ## remove the environment, results and caches
	@[ ! -e $(VENV)/made-by-make ] || rm -rf $(VENV)
	@rm -rf out build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find tinygrad_bn demos tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# -- the environment ----------------------------------------------------------------------------------------------------

$(BASE):
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo 'This needs Python 3.10 or newer; "$(PYTHON)" is $(if $(filter none,$(VERSION)),not there,version $(VERSION)).'; \
	  echo 'Name another one: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; } >&2
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo 'Python "$(PYTHON)" has no venv module (Debian and Ubuntu: apt install python3-venv).'; \
	  echo 'Install it, or name another Python: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; } >&2
	@if [ -e $(VENV) ] && [ ! -e $(VENV)/made-by-make ]; then \
	  echo 'There is a $(VENV) already that this Makefile did not make; move it away, or name another:' >&2; \
	  echo 'make $(MAKECMDGOALS) VENV=.venv-make' >&2; exit 1; fi
	@echo 'Making $(VENV) with Python $(VERSION) ...'
	@rm -rf $(VENV) && mkdir -p $(VENV) && touch $(VENV)/made-by-make
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

comma := ,
# $(call install,extras): quiet unless it fails.
install = echo 'Installing $(1) ...'; \
  $(RUN) -m pip install --disable-pip-version-check -e '.[$(1)]' >$(VENV)/pip.log 2>&1 || { \
  cat $(VENV)/pip.log; echo 'pip could not install $(1); its output is above.'; exit 1; } >&2

$(DEMO): pyproject.toml $(BASE)
	@$(call install,demos)
	@touch $@

$(TEST): pyproject.toml $(BASE)
	@$(call install,test)
	@touch $@

$(DEV): pyproject.toml $(BASE)
	@$(call install,dev)
	@touch $@

$(BENCH): pyproject.toml $(BASE)
	@$(call install,test$(comma)bench)
	@touch $@
