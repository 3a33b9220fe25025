# The course's commands; `make help` lists them. README.md has the plain commands for those without make.

PYTHON  ?= python3
BACKEND ?= tensorflow
GPU     ?=
NB      ?=
SEEDS   ?= 42,43,44

ifeq ($(BACKEND),tensorflow)
  ifeq ($(GPU),)
    VENV := .venv
    LOCK := requirements.txt
  else
    VENV := .venv-gpu
    LOCK := requirements-gpu.txt
  endif
else ifeq ($(BACKEND),jax)
  VENV := .venv-jax
  LOCK := requirements-jax.txt
else ifeq ($(BACKEND),torch)
  VENV := .venv-torch
  LOCK := requirements-torch.txt
else
  $(error BACKEND=$(BACKEND) has no lock here: use tensorflow (the default), jax or torch)
endif

BIN := $(VENV)/bin
NOTEBOOKS := $(wildcard [0-9][0-9]_*.ipynb)
SOLUTIONS := $(wildcard solutions/[0-9][0-9]_solutions.ipynb) $(if $(filter torch,$(BACKEND)),solutions/02_lenet5_in_pytorch.ipynb)
UV  := $(shell command -v uv 2>/dev/null)
HASHES := --require-hashes
ifeq ($(BACKEND),torch)  # versions only: which wheel of PyTorch, with CUDA or without, is pip's choice, and uv has another
  UV :=
  HASHES :=
endif
# TF_CPP_MIN_LOG_LEVEL spares the terminal; unknown to other backends, it does no harm.
export KERAS_BACKEND := $(BACKEND)
export TF_CPP_MIN_LOG_LEVEL := 2
export PYTHONPATH := $(CURDIR)
export PYTHONUNBUFFERED := 1
# Jupyter needs a home directory, which some containers do not give their user.
export HOME := $(or $(HOME),/tmp)

.DEFAULT_GOAL := help
.PHONY: help install run test test-all claims lab site full record refresh lock clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1|/' | awk -F'|' '{printf "  make %-9s %s\n", $$1, $$2}'
	@echo "  options: NB=02 or NB=02,08 or NB=all or NB=solutions/03 (refresh) · SEEDS=42,43,44 · BACKEND=jax or torch · GPU=1 (CUDA, Linux) · PYTHON=python3.12"

install: $(VENV)/.installed  ## build the environment from the hashed lock (about 600 MB to download, once)

$(VENV)/.installed: $(LOCK)
	@echo "Installing $(LOCK) into $(VENV): a minute or several, once"
	@rm -f $@
ifneq ($(UV),)
	@test -x $(BIN)/python || uv venv --quiet --python '>=3.11,<3.14' $(VENV)
	@uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode $(LOCK)
else
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else f"This is Python {sys.version.split()[0]}; the course needs 3.11, 3.12 or 3.13. Name one: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null  # uv makes environments without pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(HASHES) -r $(LOCK)
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
endif
	@touch $@

run: install  ## execute the chapter's notebooks on the bundled sample, pages under build/html
	@$(BIN)/python -m tools.run "$(NB)"

test: install  ## lint, unit tests, repository checks, nbval over every notebook, measured values
	@echo "Lint"; $(BIN)/ruff check --quiet . && $(BIN)/ruff format --check .
	@rm -rf build/results/sample
	@echo "Unit tests, repository checks, and every notebook re-executed and compared: ten minutes on two quick cores, half an hour on slow ones"
	@$(BIN)/python -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder --nbval --nbval-current-env --nbval-cell-timeout=600 --ignore=tests/test_values.py $(NOTEBOOKS) tests
	@echo "The values that the notebooks measured"
	@$(BIN)/python -m pytest -q tests/test_values.py

test-all: test  ## the same, solutions, and the site and JupyterLab in a browser (needs Chromium or Chrome)
	@echo "Solutions"; $(BIN)/python -m pytest -q -n 2 --dist loadscope --nbval --nbval-current-env --nbval-cell-timeout=600 $(SOLUTIONS)
	@echo "The site and JupyterLab in a browser"
	@$(BIN)/python -m pytest -q browser

comma := ,
claims: install  ## whether the claims of tests/values.py hold with other random numbers, those of SEEDS
	@rm -rf build/results/sample
	@for seed in $(subst $(comma), ,$(SEEDS)); do COURSE_SEED=$$seed $(BIN)/python -m tools.run "$(or $(NB),all)" || exit 1; done
	@$(BIN)/python -m pytest -q tests/test_values.py -k claims

lab: install  ## JupyterLab
	@$(BIN)/jupyter lab

site: install  ## the course as pages to read, under build/site
	@$(BIN)/python -m tools.site

full: install  ## run NB at full scale once for each of SEEDS, one result file a seed; finished seeds are skipped
	@$(BIN)/python -m tools.full --notebooks="$(NB)" --seeds="$(SEEDS)"

record: install  ## summarise the finished full-scale seeds of NB into results/full
	@$(BIN)/python -m tools.record "$(NB)"

refresh: install  ## re-execute NB in place, normalise, renew results/sample.json and the README's table
	@$(BIN)/python -m tools.refresh "$(NB)"

lock:  ## regenerate requirements*.txt from pyproject.toml (needs uv); UPGRADE=1 takes the newest versions
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	@for extra in tensorflow gpu jax; do \
	  file=requirements-$$extra.txt; [ $$extra = tensorflow ] && file=requirements.txt; \
	  uv pip compile --quiet pyproject.toml --extra $$extra --group read --group check --group site --universal --fork-strategy fewest --generate-hashes \
	    --no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) -o $$file || exit 1; \
	  echo "$$file"; done
	@file=requirements-torch.txt; uv pip compile --quiet pyproject.toml --extra torch --group read --group check --group site --universal --fork-strategy fewest \
	  --no-emit-index-url --no-annotate -c requirements.txt --custom-compile-command "make lock; pip adds CUDA where PyTorch's wheel asks for it" $(if $(UPGRADE),--upgrade) -o $$file; \
	  grep -vE '^(nvidia-|cuda-|triton==)' $$file > $$file.part && mv $$file.part $$file && echo "$$file"
	@$(PYTHON) -m tools.hook_versions

clean:  ## remove what was generated (not the environments, not what full-scale runs left)
	@rm -rf build/html/*.html build/html/runs.json build/site build/site-source build/screenshots build/logs build/results/sample .pytest_cache .ruff_cache
	@rm -rf build/features build/svhn build/digit_scenes build/tensorboard build/jupyter_execute build/emoji build/numerals
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
