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

# --- checks that need no host -------------------------------------------------------------------------------------------

.PHONY: lint
lint: tools ## formatting, style, types, YAML, Ansible, documentation
	ruff format --check
	ruff check
	mypy $(TREE)/plugins tests
	yamllint --strict .
	ansible-lint --offline --strict
	antsibull-changelog lint
	cd $(TREE) && antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck --validate-collection-refs=self .

# The pure core that turns certificates into TLSA data and judges chains by it.
CORE := _associations _certificate _chains _dane _der _errors _name_constraints _names _path _pem _rollover \
    _rollover_alarms _rollover_cover _rollover_ledger _rollover_state _rollover_view _rollover_words _signature _tlsa \
    _tlsa_fields _usability _x509

.PHONY: unit
unit: tools ## unit tests; every branch of the TLSA core must be covered
	pytest -n auto tests/unit
	coverage run --branch --data-file=build/.coverage --include="$$(printf '*/module_utils/%s.py,' $(CORE))" \
	    -m pytest -q -p no:xdist $(wildcard $(CORE:%=tests/unit/module_utils/test_%.py)) tests/unit/filter
	coverage report --data-file=build/.coverage --fail-under=100

.PHONY: sanity
sanity: tools ## all of ansible-test sanity, no ignore file
	.ci/sanity

.PHONY: build
build: tools ## the collection as Galaxy takes it
	ansible-galaxy collection build --force --output-path build
	! tar --list --file build/mailsec-dane-*.tar.gz | grep -E '^\.|__pycache__|^(build|molecule|tests)/'

# --- the lab --------------------------------------------------------------------------------------------------------------

.PHONY: lab-up
lab-up: tools ## raise the lab: name servers, mail hosts, a sender that judges
	$(PYTHON) -m lab up

.PHONY: lab-down
lab-down: tools ## end the lab; the images stay
	$(PYTHON) -m lab down

.PHONY: lab-shell
lab-shell: tools ## a shell on a host of the lab: make lab-shell HOST=mx1
	@$(PYTHON) -m lab shell $(or $(HOST),mx1)

.PHONY: demo
demo: tools ## the main job, end to end, in containers
	$(PYTHON) -m demo

.PHONY: molecule
molecule: tools ## the molecule scenarios; SCENARIO=name for one
	.ci/molecule $(SCENARIO)

# --- long runs, each with its result in build/NAME.json -------------------------------------------------------------------

.PHONY: conformance
conformance: tools ## our verdicts and digests beside those of Postfix, Exim, OpenSSL and hash-slinger
	$(PYTHON) -m conformance
	$(PYTHON) -m conformance.side_by_side
	$(PYTHON) -m conformance.protocols
	$(PYTHON) -m conformance.libunbound

.PHONY: matrix
matrix: tools ## conformance without Exim and the other checkers; its result is build/matrix.json
	$(PYTHON) -m conformance --without exim,peers
	$(PYTHON) -m conformance.protocols
	$(PYTHON) -m conformance.libunbound

.PHONY: model
model: tools ## every state of a rollover beside everything that can go wrong, to a stated depth; and the mutants
	$(PYTHON) -m model $(ARGS)

.PHONY: reliability
reliability: tools ## kill the demo, agents, services and hosts, under traffic; ARGS=--resume goes on
	$(PYTHON) -m demo.interrupted
	$(PYTHON) -m reliability $(ARGS)

.PHONY: rollover
rollover: tools ## rollovers under traffic, beside the orders of others; ARGS=--resume goes on
	$(PYTHON) -m rollover $(ARGS)

.PHONY: integration
integration: tools ## modules and roles against real name servers and real Postfix, with faults and kills
	.ci/install-name-servers
	pytest -n 2 tests/integration/publish
	pytest -n 0 tests/integration/postfix

.PHONY: page
page: tools ## the HTML report in headless Chromium, with pictures in build/page (needs Debian's package chromium)
	$(PYTHON) -m page

# These use the collection's core without Ansible.
conformance matrix bench page model: export PYTHONPATH := $(CURDIR)/tests:$(CURDIR)/build/collections

.PHONY: bench
bench: tools ## our speed beside what people use today
	.ci/install-name-servers
	$(PYTHON) -m bench

# --- everything -----------------------------------------------------------------------------------------------------------

.PHONY: static
static: lint unit model sanity build

# Three parts run side by side, each with a lab of its own. Of the scenarios only bare, which fetches every package, is left
# to `make molecule`.
FIRST_LAB := site publication_faults preflight mail_aliases mail_certificate postfix_dane
SECOND_LAB := resolver resolver_managers tlsa_rollover verify acme_clients

.PHONY: first-lab
first-lab: demo
	.ci/molecule $(FIRST_LAB)

.PHONY: second-lab
second-lab: export LAB_ID := 1
second-lab: tools
	.ci/molecule $(SECOND_LAB)
	$(MAKE) --no-print-directory matrix

.PHONY: third-lab
third-lab: export LAB_ID := 2
third-lab: tools static integration
	$(PYTHON) -m rollover --quick
	$(PYTHON) -m lab down

.PHONY: test
test: tools ## everything that CI runs
	.ci/side-by-side first-lab second-lab third-lab

.PHONY: clean
clean: ## remove what the commands made (the lab's images too)
	if [ -x $(PYTHON) ]; then $(PYTHON) -m lab down --images; fi
	rm -rf build .venv .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache
