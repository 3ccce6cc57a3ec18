# Two commands: `make demo` shows everything on a small world, `make test` checks everything that needs no GPU or network.
# PIP_ARGS goes to pip, e.g. PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu" for the small CPU build of torch.

.PHONY: demo feedback-demo test test-all test-gpu lint clean
.DELETE_ON_ERROR:

CANDIDATES := python3.11 python3.12 python3.13 python3
PYTHON ?= $(firstword $(foreach name,$(CANDIDATES),$(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
PIP_ARGS ?=
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt $(PIP_ARGS)
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --max-skips 0

demo: .venv/installed
	$(BIN)/tastemaker demo --out out/demo

# Someone at this machine clicks choices in a browser, and a model learns from them.
feedback-demo: .venv/installed-study
	$(BIN)/tastemaker world feedback --out out/feedback-demo

test: .venv/installed-dev lint
	$(PYTEST) -m "not slow and not gpu and not network and not browser and not extras"

test-all: test chromium postgresql .venv/extras .venv/installed-ray
	$(PYTEST) --dist load -m "(slow or browser) and not gpu and not network and not extras" --timeout 3600
	PYTHONPATH=.venv/extras $(PYTEST) -m "extras and not gpu" --timeout 3600

# On a machine with a CUDA GPU; the tests above do not look at one.
test-gpu: .venv/installed-dev
	$(PYTEST) -m "gpu and not extras"

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: chromium
chromium:
	@if ! command -v chromium chromium-browser google-chrome >/dev/null; then \
	  if command -v apt-get >/dev/null; then \
	    echo "installing chromium for the browser tests"; \
	    { apt-get install -qq -y chromium || { apt-get update -qq && apt-get install -qq -y chromium; }; } >/dev/null \
	      || echo "chromium could not be installed; the browser tests will be skipped and counted"; \
	  else echo "no chromium and no apt-get; the browser tests will be skipped and counted"; fi; fi

.PHONY: postgresql
postgresql:
	@if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then \
	  if command -v apt-get >/dev/null; then \
	    echo "installing PostgreSQL for the tests of studies"; \
	    { apt-get install -qq -y postgresql || { apt-get update -qq && apt-get install -qq -y postgresql; }; } >/dev/null \
	      || echo "PostgreSQL could not be installed; its tests will be skipped and counted"; \
	  else echo "no PostgreSQL and no apt-get; its tests will be skipped and counted"; fi; fi

.venv/installed: pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/pip ]; then \
	  if [ -z "$(PYTHON)" ]; then \
	    echo "Python 3.11 or newer is needed and none of $(CANDIDATES) is one; install it, or say make PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	  echo "creating .venv with $(PYTHON)"; \
	  "$(PYTHON)" -m venv --clear .venv || { echo "could not create .venv (on Debian or Ubuntu: apt-get install python3-venv)" >&2; exit 1; }; fi
	@echo "installing tastemaker and what it needs (once, a few minutes)"
	@$(PIP) -e .
	@touch $@

.venv/installed-study: .venv/installed
	@echo "installing the server of studies"
	@$(PIP) -e '.[study]'
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "installing the development tools"
	@$(PIP) -e '.[dev,study,postgresql]'
	@touch $@

# Outside .venv's own packages: peft imports them wherever it finds them, which takes seconds in every process.
.venv/extras: .venv/installed-dev
	@echo "installing the optional optimizers"
	@$(PIP) --no-deps --upgrade --target $@ bitsandbytes torchao
	@touch $@

.venv/installed-ray: .venv/installed-dev
	@echo "installing Ray"
	@$(PIP) -e '.[dev,study,postgresql,ray]'
	@touch $@

clean:
	rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
