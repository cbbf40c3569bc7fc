# Two commands for newcomers: `make demo` and `make test`. Both make .venv first, with uv where it is installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak lab lab-build lab-test lint bench pictures clean

define install
	@if command -v uv >/dev/null 2>&1; then \
	  [ -x $(BIN)/python ] || uv venv --quiet --python $(PYTHON) $(VENV); \
	  VIRTUAL_ENV=$(VENV) uv pip install --quiet --compile-bytecode -e '.[$(1)]'; \
	else \
	  [ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV); \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(1)]'; \
	fi
	@touch $@
endef

$(VENV)/.installed-demo: pyproject.toml package.json
	$(call install,demo)

$(VENV)/.installed-dev: pyproject.toml package.json
	$(call install,dev)

demo: $(VENV)/.installed-demo  ## run the quick start on real data and show where to look
	@$(BIN)/mlrun-jupyter demo

test: $(VENV)/.installed-dev  ## all tests: real kernels, real stores
	@# in their order: by their number, the files of few long tests would come last, and one process would wait for them
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/e2e/lab tests
	@# Playwright's event loop and those of the server's tests do not bear each other in one process
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/e2e/lab

soak: $(VENV)/.installed-dev  ## the tests that take minutes
	@$(BIN)/python -m pytest -m soak tests
	@KILL_ROUNDS=10 $(BIN)/python -m pytest tests/faults/test_random_kills.py

lab: $(VENV)/.installed-demo  ## JupyterLab with the examples
	@$(BIN)/jupyter lab --notebook-dir examples

node_modules/.yarn-state.yml: package.json yarn.lock
	@PATH="$(CURDIR)/$(BIN):$$PATH" jlpm install --immutable

lab-build: $(VENV)/.installed-dev node_modules/.yarn-state.yml  ## the lab extension, from TypeScript; needs Node 20.19 or later
	@PATH="$(CURDIR)/$(BIN):$$PATH" jlpm build:prod
	@rm -f $(VENV)/.installed-*  # the next install takes it along

lab-test: $(VENV)/.installed-dev node_modules/.yarn-state.yml  ## types and unit tests of the lab extension
	@PATH="$(CURDIR)/$(BIN):$$PATH" jlpm types:check
	@PATH="$(CURDIR)/$(BIN):$$PATH" jlpm lint
	@PATH="$(CURDIR)/$(BIN):$$PATH" jlpm test

lint: $(VENV)/.installed-dev  ## style, types, and the arrows between the layers
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.installed-dev  ## figures beside their references
	@$(BIN)/python -m tests.bench

pictures: $(VENV)/.installed-dev  ## those of README and guide, in both themes; look at them before they are committed
	@$(BIN)/python -m tests.pictures docs/images

clean:
	@rm -rf $(VENV) .venv-node .demo dist build node_modules labextension/lib labextension/dist
