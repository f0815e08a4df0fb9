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
SITE  := $(BASE)-site

# Small matrices: more than one thread makes them slower.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

# How many processes run the tests.
CORES ?= auto

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo env report test oldest lint types docs site visit package fuzz ranks mutants notebooks figures bench pins clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'
	@echo 'With another Python: make test PYTHON=python3.12'
	@echo 'With options:        make demo ARGS="--only bn_activity --seeds 8"; make bench ARGS=--quick'

demo: $(DEMO)  ## run all demos and write out/report.html; FULL=1: the sizes of the papers, which takes long
	@$(RUN) -m demos $(if $(FULL),--full) $(ARGS)

env: $(DEMO)  ## make .venv and nothing else: the library, its command tinygrad-bn, and pytest
	@echo 'source $(VENV)/bin/activate puts its python and tinygrad-bn on your path.'

# The results of `make demo`, or, before it ever ran, those that the documentation shows.
report: $(DEMO)  ## write out/report.html from kept results, in seconds: make report FROM=docs/measured/results.json
	@$(RUN) -m demos --again $(or $(FROM),$(wildcard out/results.json),docs/measured/results.json) $(ARGS)

test: $(TEST)  ## all tests; fails unless engine and ops are covered, lines and branches; some: make test ARGS=tests/optim
ifdef ARGS
	@$(RUN) -m pytest $(ARGS)
else
	@$(RUN) -m pytest -n $(CORES) --cov --cov-report=
	@$(RUN) -m coverage report --skip-covered --fail-under=100
endif

oldest:  ## all tests with the oldest versions that pyproject.toml allows: make oldest PYTHON=python3.10
	@"$(PYTHON)" -m venv .venv-oldest && .venv-oldest/bin/python -m pip install -q uv
	@.venv-oldest/bin/uv pip install -q --python .venv-oldest/bin/python --resolution lowest-direct -e '.[test]'
	@.venv-oldest/bin/python -m pytest -n $(CORES)

lint: $(DEV)  ## style and mistakes (ruff)
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

types: $(DEV)  ## static types (mypy, strict)
	@$(RUN) -m mypy

docs: $(TEST)  ## run every example of the documentation
	@$(RUN) -m pytest tests/docs

site: $(SITE)  ## write the documentation as a site, with search and reference, to out/site
	@$(RUN) docs/make_site.py

visit: $(TEST)  ## open pages of out/site in Chromium, as a phone and as a desktop, light and dark
	@$(RUN) -m pytest tests/docs/visit_site.py

package: $(DEV)  ## build wheel and sdist into out/dist, install each into an empty environment, and use it
	@$(RUN) -m tests.package

fuzz: $(TEST)  ## random programs against PyTorch, and compiled: make fuzz N=20000
	@$(RUN) -m tests.fuzz $(or $(N),10000) $(SEED)
	@$(RUN) -m tests.compiler.fuzzed $(or $(N),10000) $(SEED)

ranks: $(TEST)  ## random networks with Batch Normalization on 3 processes, against one: make ranks N=1000
	@$(RUN) -m tinygrad_bn run -n 3 tests/parallel/random_programs.py $(or $(N),200) $(SEED)

mutants: $(TEST)  ## plant faults one by one and see which test notices; about ten minutes
	@$(RUN) -m tests.mutants

notebooks: $(TEST)  ## run the notebooks and keep what they show
	@$(RUN) docs/make_notebooks.py

figures: $(TEST)  ## fill the measurements in the documentation: make figures FROM=out/results.json
	@$(RUN) docs/make_measured.py $(FROM)

bench: $(BENCH)  ## speed and memory, eager and compiled, against PyTorch, JAX, autograd and micrograd
	@$(RUN) -m tests.benchmarks $(ARGS)

pins: PINS := $(VENV)-pins
pins:  ## write constraints.txt anew, with the newest versions that fit pyproject.toml
	@rm -rf $(PINS) && "$(PYTHON)" -m venv $(PINS)
	@$(PINS)/bin/python -m pip install -q --disable-pip-version-check -U pip setuptools
	@$(PINS)/bin/python -m pip install -q --no-build-isolation -e '.[all]' --group bench --group dev
	@$(PINS)/bin/python -m tests.pins >constraints.tmp && mv constraints.tmp constraints.txt
	@rm -rf $(PINS)

clean:  ## remove the environment, results and caches
	@[ ! -e $(VENV)/made-by-make ] || rm -rf $(VENV)
	@rm -rf .venv-oldest out build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
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
	@# The pip that comes with Python may be too old to know dependency groups.
	@$(RUN) -m pip install --disable-pip-version-check -c constraints.txt 'pip>=25.1' 'setuptools>=77' >$(VENV)/pip.log 2>&1 || { \
	  cat $(VENV)/pip.log; echo 'pip could not bring itself up to date; its output is above.'; exit 1; } >&2
	@touch $@

# $(call install,what,for what): quiet unless it fails.  Versions are those of constraints.txt, so that they change with it alone.
install = echo 'Installing what is needed for $(2) ...'; \
  $(RUN) -m pip install --disable-pip-version-check --no-build-isolation -c constraints.txt \
    $(1) >$(VENV)/pip.log 2>&1 || { \
  cat $(VENV)/pip.log; echo 'pip could not install what is needed for $(2); its output is above.'; exit 1; } >&2

# With pytest, for the tests that `tinygrad-bn new` writes.
$(DEMO): pyproject.toml constraints.txt $(BASE)
	@$(call install,-e '.[demos]' pytest,demos)
	@touch $@

$(TEST): pyproject.toml constraints.txt $(BASE)
	@$(call install,-e '.[all]' --group test,tests)
	@touch $@

$(SITE): pyproject.toml constraints.txt $(BASE)
	@$(call install,-e '.[demos]' --group docs,the site)
	@touch $@

$(DEV): pyproject.toml constraints.txt $(BASE)
	@$(call install,-e . --group dev,lint and types)
	@touch $@

$(BENCH): pyproject.toml constraints.txt $(BASE)
	@$(call install,-e '.[all]' --group bench,benchmarks)
	@touch $@
