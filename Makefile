# Everything that is done with this project, by name. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.NOTPARALLEL:

# The PostgreSQL that is built for; `make install` installs into it. The demo and the tests use a private copy.
PG_CONFIG ?= /usr/lib/postgresql/15/bin/pg_config
# One value in every call of cargo: a change of it generates the bindings anew and rebuilds what rests on them.
export PGRX_PG_CONFIG_PATH := $(PG_CONFIG)

# Seconds for each fuzz target.
FUZZ_SECONDS ?= 20
export FUZZ_SECONDS

CARGO ?= cargo
# The extension is compiled once, as it is installed: with optimisation, for demo, tests and benchmarks alike. A
# debug build takes four fifths of the time (thin LTO costs three seconds), is slower in use, and would be
# a second one. Core, the test programs and the installer are built as cargo does by default: arithmetic overflow is
# caught, and the installer runs once for the 20 seconds that optimising it would take.
target_dir := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
xtask := $(target_dir)/debug/xtask
library := $(target_dir)/release/libkakunin.so

# Root only for the three files, and only where they are not ours to write.
as_root = $(shell test -n "$(DESTDIR)" -o -w "$$($(PG_CONFIG) --pkglibdir)" || echo sudo)

.PHONY: help deps build install uninstall private demo psql stop test check check-regress installcheck bench fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: deps private ## install what is missing, build, and play the main job on a private cluster
	@scripts/demo.sh

test: ## install what is missing, and run everything that checks the project
	@scripts/install-deps.sh test
	@scripts/test.sh

check: ## format, lints and tidiness: no server needed
	@scripts/check.sh

psql: ## connect to the demo's cluster
	@scripts/cluster.sh psql demo -d demo

stop: ## stop every private cluster
	@scripts/cluster.sh stop --all

build: ## compile the extension and the tools around it
	@test -x $(PG_CONFIG) || { echo "There is no $(PG_CONFIG): run scripts/install-deps.sh demo, or set PG_CONFIG." >&2; exit 1; }
	@source scripts/lib.sh; stage "compile the installer" $(CARGO) build -p xtask
	@source scripts/lib.sh; stage "compile the extension" $(CARGO) build --release -p kakunin $$(features)

install: build ## install into the PostgreSQL of PG_CONFIG; DESTDIR is honoured
	$(as_root) $(xtask) install --lib $(library) --pg-config $(PG_CONFIG) --destdir "$(DESTDIR)"

uninstall: build ## remove what install wrote
	$(as_root) $(xtask) uninstall --pg-config $(PG_CONFIG) --destdir "$(DESTDIR)"

installcheck: ## pg_regress against the server that PGHOST, PGPORT and PGUSER name; it must preload kakunin
	@scripts/regress.sh $(PG_CONFIG) $(TESTS)

check-regress: private ## pg_regress on a private cluster; TESTS="a b" runs only those
	@scripts/regress.sh --private $(TESTS)

private: build ## install into the private PostgreSQL that demo and tests use
	@$(xtask) install --lib $(library) --pg-config "$$($(xtask) pgtree)"

bench: deps private ## measure, and write a table, JSON and a plot to target/bench
	@scripts/bench.sh

fuzz: ## fuzz every parser that sees untrusted bytes, FUZZ_SECONDS for each
	@scripts/fuzz.sh

deps: ## install what is missing to build and to run the demo
	@scripts/install-deps.sh demo

clean: ## remove what was built, and the private clusters
	@if test -x $(xtask); then scripts/cluster.sh stop --all && rm -rf "$$($(xtask) base)"; fi
	$(CARGO) clean
