# make demo and make test are all a new user needs; both make the environment first.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
export UV_PYTHON_DOWNLOADS := never
# Else each of the processes that a test starts compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
STUDIO := .venv-studio/bin
UV := $(BIN)/uv

.PHONY: help setup demo test test-cluster lint types chaos-ci chaos bench studio lock

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: .venv/.ready ## make the environment in .venv

.venv/.ready: requirements.lock pyproject.toml
	@infra/setup.sh .venv requirements.lock
	@touch $@

.venv-studio/.ready: infra/requirements-studio.lock pyproject.toml
	@infra/setup.sh .venv-studio infra/requirements-studio.lock
	@touch $@

demo: setup ## answer a real goal over the documents in infra/demo
	@$(BIN)/trireme run "$$(cat infra/demo/goal.txt)" --docs infra/demo/documents

# Two files at a time, each with databases of its own; one file or test: .venv/bin/python -m pytest PATH.
test: setup .venv-studio/.ready ## pass the tests
	@$(BIN)/python -m pytest -n logical --maxprocesses 2 --dist loadfile --no-loadscope-reorder

test-cluster: setup ## pass the clients' tests with two API processes and two workers; write infra/compatibility.md
	@$(BIN)/python -m pytest tests/sdk --compatibility

# Node 20 or later with npm (Debian 12's own is 18), and: apt-get install chromium. The first time it builds the page.
test-browser: setup ## agent-chat-ui, the real one, in Chromium
	@$(BIN)/python -m pytest tests/browser/agent_chat_ui.py

lint: setup ## ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup ## mypy --strict over source and tests
	@$(BIN)/mypy

chaos-ci: setup ## the chaos that CI runs: every point, 200 kills, zombies, streams, planted bugs
	@$(BIN)/python -m tests.chaos points kills=125 zombies=12 database=10 streams=10
	@$(BIN)/python -m tests.chaos.plants

chaos: setup ## all of it, for hours: every point x 50, 10,000 kills, 1,000 zombies, 500 database faults, 200 streams
	@$(BIN)/python -m tests.chaos points --bouts 50
	@$(BIN)/python -m tests.chaos kills=100 --bouts 100
	@$(BIN)/python -m tests.chaos zombies=20 --bouts 50
	@$(BIN)/python -m tests.chaos database=20 --bouts 25
	@$(BIN)/python -m tests.chaos streams=200
	@$(BIN)/python -m tests.chaos.plants

bench: setup ## print the table of figures
	@$(BIN)/python -m tests.bench

# langgraph dev keeps what is typed into it in clear under .langgraph_api: it goes when the server ends.
studio: .venv-studio/.ready ## LangGraph Studio's server on the same graph, for debugging
	@trap 'rm -rf .langgraph_api' EXIT; trap : INT TERM; \
		LANGGRAPH_CLI_NO_ANALYTICS=1 $(STUDIO)/langgraph dev --no-browser

lock: setup ## resolve the dependencies again
	@$(UV) pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml \
		--group dev --group notebooks -o requirements.lock
	@$(UV) pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml \
		--group studio -o infra/requirements-studio.lock
