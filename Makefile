# Everything sets itself up: a virtual environment in .venv, made anew when pyproject.toml changes.

PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where pyenv has the other Pythons, let it show all of them.
PYENVS := $(shell pyenv versions --bare 2>/dev/null | paste -s -d :)
# Who is not root runs them in a user namespace. What compares with root's tools takes root.
ifneq ($(shell id -u),0)
USERNS := --netns-userns=process
ROOT := sudo
endif

.PHONY: help demo quick test test-resident test-uml test-sid foreign smoke lint format docs pages figures bench soak chaos clean
help:
	@echo "make demo           run the examples and show what they do"
	@echo "make quick          run the tests here that are not slow"
	@echo "make test           run the tests here, and a part of them on each other Python there is"
	@echo "make test-resident  run a part of them where only the resident child is in a user namespace"
	@echo "make test-uml       run a part of them on a second kernel, which has links that this one may lack"
	@echo "make test-sid       run them on the newest Pythons, those of Debian's sid"
	@echo "make foreign        run suites of others, from the package index, with each test isolated"
	@echo "make lint           check format, style and types"
	@echo "make bench          measure against pyroute2, ip netns and the system calls themselves"
	@echo "make soak           run 10,000 tests and see whether anything grows"
	@echo "make chaos          kill, interrupt or starve a run at random, 200 times, and see whether anything is left"
	@echo "make docs           build the documentation into docs/_build/html"
	@echo "make pages          write code, drawings of networks and the figures of docs/figures.json into the pages"
	@echo "make figures        measure these figures anew, and write them into the pages"
	@echo "make lowest         run a part of the tests with the lowest versions that pyproject.toml allows"
	@echo "make newest         run it with the newest ones"
	@echo "make dist           build what is released into dist/, check it, and try it"
	@echo "make changelog      show what the fragments of changelog.d add to CHANGELOG.md"

.venv/examples: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[examples]'
	@touch $@

.venv/dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/examples

demo: .venv/examples
	PYTHONPATH=examples $(BIN)/python -m pytest -p show_examples examples -v -s -rs --no-header \
		--netns-capture=failed --xfail-tb $(USERNS)

# An ordinary user's own runs of pytest as an ordinary user are none in a user namespace.
quick: .venv/dev
	$(BIN)/python -m pytest -n 3 -m "not slow$(if $(USERNS), and not ordinary_user)" $(USERNS) tests

test: smoke
ifdef USERNS
	$(BIN)/python -m pytest -m ordinary_user tests
	$(BIN)/python -m pytest -n 3 -m "not ordinary_user" $(USERNS)
else
	$(BIN)/python -m pytest -n 3
endif

# A test that needs a thread inside a namespace has to be told here that there can be none.
test-resident: .venv/dev
	$(BIN)/python -m pytest -n 3 --netns-userns=resident -m core tests

# The second kernel is slow to start processes and to move data, so what is about these is left out.
test-uml: .venv/dev
	$(BIN)/python -m trials.second_kernel -p no:cacheprovider --color=no --netns-strict --netns-child-timeout=60 \
		-m "second_kernel and not heavy" tests

# Debian's sid, in a folder of the user's cache. SID_TESTS="-m smoke" runs the heart of them.
SID_PYTHONS := 3.14 3.14t 3.15
SID_TESTS := -n 2 tests
SID_OPTIONS :=

test-sid: .venv/dev
	$(ROOT) $(BIN)/python -m trials.sid --pythons="$(SID_PYTHONS)" $(SID_OPTIONS) -- -p no:cacheprovider --color=no $(SID_TESTS)

foreign: .venv/dev
	$(BIN)/python -m trials.foreign --write

smoke: .venv/dev
	env $(if $(PYENVS),PYENV_VERSION=$(PYENVS)) $(BIN)/nox --session smoke -- $(USERNS)

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	env PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes pytest_netns --ignoreexternal
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10
	$(BIN)/python -m pytest -q tests/project/test_layers.py tests/types

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/dev
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

pages: .venv/dev
	$(ROOT) $(BIN)/python docs/failures.py
	$(BIN)/python docs/fill.py

figures: .venv/dev
	$(ROOT) $(BIN)/python -m trials.bench --json docs/figures.json > docs/figures.txt
	$(BIN)/python docs/fill.py

bench: .venv/dev
	$(ROOT) $(BIN)/python -m trials.bench

soak: .venv/dev
	$(ROOT) $(BIN)/python -m trials.soak --svg docs/pictures/soak.svg

chaos: .venv/dev
	$(BIN)/python -m trials.chaos

clean:
	rm -rf .venv .nox .mypy_cache .ruff_cache .pytest_cache docs/_build build dist

.PHONY: lowest newest dist changelog
NOX := env $(if $(PYENVS),PYENV_VERSION=$(PYENVS)) $(BIN)/nox

# NEWEST=--pre takes the pre-releases of others.
NEWEST :=

lowest: .venv/dev
	$(NOX) --session lowest -- $(USERNS)

newest: .venv/dev
	$(NOX) --session newest -- $(NEWEST) $(USERNS)

dist: .venv/dev
	$(NOX) --stop-on-first-error --session dist installed -- $(USERNS)

changelog: .venv/dev
	$(BIN)/towncrier build --draft --version next
