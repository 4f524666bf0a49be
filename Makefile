# Armillary. `make help` lists the targets.
# Every target installs what it needs first; no root and no service is needed for `make demo`.

SHELL := /bin/bash
ARGS ?=

# uv, from the PATH or brought here. Debian without python3-venv: see bin/bring-uv.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# The interpreter is the system's: never download one. The distribution's own comes first: it is kept up to date with
# the system and built with profile-guided optimisation (a check-in costs a seventh less than with a plain build).
export UV_PYTHON ?= $(or $(firstword $(wildcard /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11)),>=3.11)
export UV_PYTHON_PREFERENCE ?= only-system
export UV_PYTHON_DOWNLOADS ?= never
# Trust what the system trusts: a company's own certificate authority, for instance.
export UV_SYSTEM_CERTS ?= 1
# Compile what is installed, and our own code: every start is a second and more faster, and of the processes that tests
# begin with at once each would compile it.
export UV_COMPILE_BYTECODE ?= 1
# Two tests a core: half of the suite's time is waiting (for devices, browsers, processes), not work.
TEST_WORKERS ?= $(shell n=$$(nproc); echo $$((n > 4 ? 8 : n * 2)))
RUN := $(UV) run --frozen --no-sync

.PHONY: help setup demo test test-long check check-types check-rules check-imports check-lint check-format \
	fix bench docs texts clean test-tools image image-test image-test-full image-kernel image-kernel-test image-kernel-verdict

help:            ## List the targets
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 21

.uv/bin/uv:
	@./scripts/bring-uv

setup: .venv/.ready  ## Make .venv with everything; .venv/bin/armillary is the command

.venv/.ready: $(if $(shell command -v uv 2>/dev/null),,.uv/bin/uv) pyproject.toml uv.lock Makefile
	@$(UV) sync --frozen --quiet
	@.venv/bin/python -m compileall -q -j 0 src/armillary
	@touch .venv/.ready

demo: setup      ## Play the main story (ARGS=--json for one summary object)
	@.venv/bin/armillary demo $(ARGS)

test-tools: setup
	@./scripts/install-test-tools

test: test-tools ## Run the tests (ARGS="tests/attacks -q" runs a part)
	@$(RUN) pytest $(if $(ARGS),$(ARGS),-n $(TEST_WORKERS) --dist worksteal)

test-long: test-tools ## Run the tests with many more repetitions: for the night
	@ARMILLARY_LONG_TESTS=1 $(RUN) pytest $(if $(ARGS),$(ARGS),-n $(TEST_WORKERS) --dist worksteal)

# Two at a time, the longest first; what one of them says stays together, and all are run though one finds a fault.
check: setup     ## Format, lint, types, architecture, docs
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target \
		check-types check-rules check-imports check-lint check-format

check-types:
	@$(RUN) mypy

check-rules:
	@$(RUN) pytest -q tests/test_architecture.py tests/test_rooms.py tests/test_docs.py

check-imports:
	@$(RUN) lint-imports --no-logo

check-lint:
	@$(RUN) ruff check .

check-format:
	@$(RUN) ruff format --check .

fix: setup       ## Format and mend what can be mended by machine
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

# Where own kernels are kept, with their source and all that was compiled: 3 GB. An image takes those in .image.
# KERNELS: x86_64, arm64, or both. How long a target takes is said for two processors that nobody else wants.
IMAGE_CACHE ?= .image
KERNEL_CACHE = $(or $(IMAGE_CACHE),.image)/kernel
KERNELS ?= x86_64 arm64
CHECKER ?= kernel-hardening-checker

image: setup     ## Build the device image into .image/x86_64: 20 s and its packages (ARGS="--kernel own")
	@./scripts/install-image-tools
	@.venv/bin/armillary image build $(ARGS)

IMAGE_KERNEL ?= debian
# More words for `armillary image build`.
IMAGE_OPTIONS ?=

image-test: setup ## Build the image, boot it in QEMU and attack it: 6 minutes (ARGS="-k flipped", IMAGE_KERNEL=own)
	@./scripts/install-image-tools
	@.venv/bin/armillary image build --kernel $(IMAGE_KERNEL) $(IMAGE_OPTIONS)
	@./scripts/run-image-tests x86_64 $(ARGS)

# All programs, then the kernels, then the machines: nothing is left out for want of what would come later. With the own
# kernel x86_64 plays what `make image-test` does.
image-test-full: export ARMILLARY_IMAGE_TESTS_FULL = 1
image-test-full: setup ## All attacks, all machines, own kernels: hours, 15 GB (ARGS=-x ends at the first fault)
	@./scripts/install-image-tools x86_64 arm64 imx8mp armhf kernels cores
	@$(MAKE) --no-print-directory image-kernel-test ARGS= KERNELS="x86_64 arm64" IMAGE_CACHE=.image
	@env -u ARMILLARY_IMAGE_TESTS_FULL $(MAKE) --no-print-directory image-test IMAGE_KERNEL=own
	@$(MAKE) --no-print-directory image-test
	@.venv/bin/armillary image build --arch arm64
	@./scripts/run-image-tests arm64 $(ARGS)
	@.venv/bin/armillary image build --arch imx8mp
	@./scripts/run-image-tests imx8mp $(ARGS)
	@.venv/bin/armillary image build --arch armhf
	@./scripts/run-image-tests armhf $(ARGS)

image-kernel: setup  ## Build the image's own kernels: 12 minutes each, nothing if they are there (KERNELS=x86_64)
	@.venv/bin/python -m armillary.device_image.own_kernel build --cache $(KERNEL_CACHE) $(KERNELS)

image-kernel-test: image-kernel  ## Build the own kernels and boot them in QEMU: minutes more (KERNELS=x86_64)
	@ARMILLARY_KERNEL_TESTS=$(abspath $(KERNEL_CACHE)) $(RUN) pytest tests/device_image/own_kernel $(ARGS)

image-kernel-verdict: setup  ## Ask kernel-hardening-checker about the kernels' options (CHECKER=its program)
	@.venv/bin/python -m armillary.device_image.own_kernel verdict --cache $(KERNEL_CACHE) --checker $(CHECKER) $(KERNELS)

bench: test-tools ## Measure; writes bench/results/latest.json
	@$(RUN) python -m bench $(ARGS)

docs: setup      ## Generate the reference pages from the code
	@$(RUN) python -m docs.generate

texts: setup     ## Bring the texts that are translated up to date with the code
	@$(RUN) python -m docs.texts

clean:           ## Remove what was built
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results tests/conformance/node/node_modules
