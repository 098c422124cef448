# `make help` explains the targets. Everything runs in .venv, which `make` keeps in step with the lock.

.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
LOCKS := requirements-dev.txt functions/requirements.txt local/requirements.txt policies/requirements.txt \
  runner/requirements.txt tests/chart/stand_in/requirements.txt tests/reuse/croissant/requirements.txt tools/supply-chain-requirements.txt
export PULUMI_ERROR_OUTPUT_STRING := true
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help local up down test test-full inner check lint format types workflows reference portal ready lock bench clean preview images changes sbom audit

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.ready: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "AI4H needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	       "Name another one: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[0-9.]*' requirements-dev.txt)"
	@# Compiled at once: the AWS SDK is large, and some machines keep no bytecode by themselves.
	@$(VENV)/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python $(RUN) requirements-dev.txt
	@touch $@

policies/.venv/.ready: policies/requirements.txt $(VENV)/.ready
	@$(VENV)/bin/uv venv --quiet --clear --python $(RUN) policies/.venv
	@$(VENV)/bin/uv pip install --quiet --require-hashes --python policies/.venv/bin/python -r $<
	@touch $@

ready: $(VENV)/.ready policies/.venv/.ready  ## set up what a preview needs: .venv, and the policy pack's own

local: $(VENV)/.ready  ## start the platform on this machine, run the demo, stay until Ctrl-C
	@exec $(RUN) -m local up

up: $(VENV)/.ready  ## start the platform in the background, without the demo
	@exec $(RUN) -m local up --detach

down: $(VENV)/.ready  ## stop what `make up` started
	@exec $(RUN) -m local down

test: $(VENV)/.ready  ## lint, types and every test tier but those of `make test-full`
	@$(MAKE) --no-print-directory check workflows
	$(RUN) -m pytest -m "graph or unit" -n 2
	$(RUN) -m pytest -m "functions or reuse or chart" -n 2
	$(RUN) -m pytest -m "(autoscaling or e2e) and not slow" -n 2
	$(RUN) -m pytest -m engine -n 2

test-full: test  ## the same, pages in a browser, and tests that take minutes by their nature
	$(RUN) -m pytest -m browser
	$(RUN) -m pytest -m slow

inner: $(VENV)/.ready  ## the inner loop: graph and unit tests
	$(RUN) -m pytest -m "graph or unit" -n 2

check: lint types  ## format, lint and types, without changing anything

lint: $(VENV)/.ready
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

types: $(VENV)/.ready
	$(VENV)/bin/pyright

format: $(VENV)/.ready  ## format and fix what can be fixed
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

workflows: $(VENV)/.ready  ## lint the GitHub workflows (actionlint is built on first use, with Go)
	$(VENV)/bin/zizmor --offline --quiet .github
	@if command -v go >/dev/null || test -n "$$CI"; then $(RUN) -m tools.go_programs actionlint; \
	else echo "skipped: actionlint, because it is built with Go and there is no go on PATH"; fi

reference: $(VENV)/.ready  ## write anew what is made from the code: schema, docs/components.md, the API's page
	$(RUN) -m tools.component_reference
	$(RUN) -m tools.api_reference

portal:  ## build the portal's script anew from portal/source (needs npm)
	cd portal && npm ci --no-audit --no-fund && npm run types && npm run build

images:  ## build EvalAI's images in AWS, for stack STACK (needs the Pulumi and AWS CLIs)
	@images/start.sh $(or $(STACK),dev)

preview: ready  ## what `pulumi up` would change: make preview STACK=dev (needs the Pulumi CLI)
	@command -v pulumi >/dev/null || { echo "The Pulumi CLI is missing: see docs/platform-engineer.md"; exit 1; }
	pulumi preview --stack $(or $(STACK),dev) --diff --policy-pack policies

changes: $(VENV)/.ready  ## what this checkout changes in a stack, without an account: make changes BASE=main STACK=dev
	@command -v pulumi >/dev/null || { echo "The Pulumi CLI is missing: see docs/platform-engineer.md" >&2; exit 1; }
	@$(RUN) -m tools.resource_changes $(or $(BASE),origin/main) $(or $(STACK),dev)

lock: $(VENV)/.ready  ## resolve the *.in files anew into the hashed lock files
	@compile() { $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header "$$@"; }; \
	compile requirements.in -o requirements.txt && \
	compile -c requirements.txt functions/requirements.in -o functions/requirements.txt && \
	compile -c requirements.txt -c functions/requirements.txt runner/requirements.in -o runner/requirements.txt && \
	compile -c requirements.txt -c functions/requirements.txt -c runner/requirements.txt requirements-dev.in -o requirements-dev.txt && \
	compile local/requirements.in -o local/requirements.txt && \
	compile policies/requirements.in -o policies/requirements.txt && \
	compile tests/chart/stand_in/requirements.in -o tests/chart/stand_in/requirements.txt && \
	compile tests/reuse/croissant/requirements.in -o tests/reuse/croissant/requirements.txt

tools/.venv/.ready: tools/supply-chain-requirements.txt $(VENV)/.ready
	@$(VENV)/bin/uv venv --quiet --clear --python $(RUN) tools/.venv
	@$(VENV)/bin/uv pip install --quiet --require-hashes --python tools/.venv/bin/python -r $<
	@touch $@

sbom: tools/.venv/.ready  ## write what is shipped (CycloneDX) and its licences into dist/sbom (needs npm)
	@$(RUN) -m tools.supply_chain dist/sbom

audit: tools/.venv/.ready  ## ask for known vulnerabilities of all locked packages (needs npm, Go, and the internet)
	@for lock in $(LOCKS); do echo "$$lock:"; \
	  tools/.venv/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$lock || exit 1; done
	@for program in portal examples/typescript tests/e2e/fhir_kit_client; do echo "$$program:"; \
	  npm audit --prefix $$program --package-lock-only || exit 1; done
	@for module in tools/go/*/; do echo "$$module:"; \
	  $(RUN) -m tools.go_programs govulncheck -C $$module -scan module || exit 1; done

bench: $(VENV)/.ready  ## measure the README's figures on the running local platform
	$(RUN) -m benchmarks

clean:  ## stop the platform and remove its data, the virtual environment and caches of tools
	@test ! -x $(RUN) || $(RUN) -m local down
	rm -rf .local $(VENV) policies/.venv tools/.venv .pytest_cache .ruff_cache
