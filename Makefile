# Each target is enough by itself on a machine with Python 3.11, a C compiler and make.
#   make demo   the embedded study, minutes on two cores: table, figures, store in runs/demo
#   make test   the tests
#   make check  lint, types, formats, clones; the kernels compiled with every warning an error
#   make sanitize  the kernels under AddressSanitizer and UndefinedBehaviorSanitizer
#   make docs   the guide, in build/docs; a warning is an error

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# What the kernels are built from: installed again when it changes.
KERNELS := cmake/CMakeLists.txt $(wildcard src/secateur/runtime/kernels/*.[ch])

# Compiled modules are kept whatever the environment says: a sweep or a test starts many processes,
# and each would take seconds to compile what it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check docs sanitize clean

demo: $(VENV)/.report
	$(BIN)/secateur sweep demo

# Threads that wait sleep, as `secateur` has them do: spinning ones of two workers hold each other up.
# In the order of the folders, the longest files before them: the examples of docstrings, which are short, come last and leave
# neither worker idle.
test: export OMP_WAIT_POLICY ?= PASSIVE
test: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -q

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini $$(git ls-files 'tests/test_*.py' 'tests/**/test_*.py')
	$(BIN)/biome check --error-on-warnings
	$(BIN)/jscpd --silent src tests benchmarks scripts examples cmake docs/_ext
	$(BIN)/clang-format --dry-run --Werror $(filter %.c %.h,$(KERNELS)) $(wildcard tests/runtime/kernels/*.c \
		src/secateur/runtime/portable/*.c benchmarks/*.c)
	$(BIN)/cmake -S cmake -B build/warnings -DCMAKE_COMPILE_WARNING_AS_ERROR=ON >/dev/null
	$(BIN)/cmake --build build/warnings --clean-first >/dev/null

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first and by its exact version: a range would bring the newest build and its CUDA packages.
$(VENV)/.torch: constraints.txt | $(VENV)/bin/python
	$(INSTALL) torch==$$(sed -n 's/^torch==//p' constraints.txt)
	touch $@

$(VENV)/.report: $(VENV)/.torch pyproject.toml $(KERNELS)
	$(INSTALL) -e '.[report]'
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml $(KERNELS)
	$(INSTALL) -e '.[all,dev,docs]'
	touch $@

# The sparse kernels on random input, with every byte watched.
sanitize:
	scripts/sanitize_kernels.sh

clean:
	rm -rf $(VENV) runs
