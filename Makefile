# Two commands for newcomers: `make demo` and `make test`. Both make .venv first, with uv where it is installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak lab lint bench clean

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
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests

soak: $(VENV)/.installed-dev  ## the tests that take minutes
	@$(BIN)/python -m pytest -m soak tests

lab: $(VENV)/.installed-demo  ## JupyterLab with the examples
	@$(BIN)/jupyter lab --notebook-dir examples

lint: $(VENV)/.installed-dev  ## style, types, and the arrows between the layers
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.installed-dev  ## figures beside their references
	@$(BIN)/python -m tests.bench

clean:
	@rm -rf $(VENV) .demo dist build
