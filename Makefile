# The project's commands. Each sets up what it needs; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := $(CURDIR)/.venv
PYTHON := $(VENV)/bin/python
TOOLS := $(VENV)/.installed
TREE := build/collections/ansible_collections/mailsec/dane

export PATH := $(VENV)/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/tests
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build/collections
export ANSIBLE_HOME := $(CURDIR)/build/ansible
export MOLECULE_GLOB := molecule/*/molecule.yml

.PHONY: help
help:
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- what the commands stand on ---------------------------------------------------------------------------------------

$(TOOLS): tests/requirements.txt
	.ci/install-python-tools $(VENV)
	touch $@

$(TREE):
	mkdir -p $(@D)
	ln -sfn ../../../.. $@

.PHONY: tools
tools: $(TOOLS) $(TREE) ## the virtual environment with the pinned tools

.PHONY: requirements
requirements: ## pin tests/requirements.in anew (needs uv)
	cd tests && uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q --upgrade -o requirements.txt requirements.in
