# The front door. The build itself is described in meson.build.
.DEFAULT_GOAL := help
.PHONY: help setup build run test check bench fuzz format clean

SOURCES = $(shell find src tests -name '*.[ch]' -o -name '*.cc')

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 14

setup: ## install what is missing (Debian packages, npm packages)
	@scripts/setup.sh

# Messages go to stderr, so that stdout is data also through make. The first build shows its
# progress, later ones only what fails.
build: setup ## build build/clickmill
	@test -f build/build.ninja || meson setup build --buildtype=release \
	    -Db_ndebug=false >&2
	@if [ -x build/clickmill ]; then \
	    out=$$(ninja -C build --quiet clickmill) || { printf '%s\n' "$$out" >&2; exit 1; }; \
	else \
	    ninja -C build clickmill >&2; \
	fi

run: build ## start everything on this machine: make run [CONFIG=FILE] [ARGS="..."]
	@exec build/clickmill run $(if $(CONFIG),--config $(CONFIG)) $(ARGS)

test: build ## run everything there is to test
	@scripts/setup.sh test
	@python3 tests/run.py

check: build ## run the fast part of the tests
	@scripts/setup.sh test
	@python3 tests/run.py --fast

bench: build ## compare with other engines: make bench [SIZE=1000000] [SERIES=full]
	@python3 bench/bench.py $(if $(SIZE),--size $(SIZE)) $(if $(SERIES),--series $(SERIES))

fuzz: setup ## feed the parsers what nobody writes: make fuzz [TARGET=name] [SECONDS=60]
	@python3 tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGET)

format: ## bring the sources into the house style
	@scripts/setup.sh test
	@clang-format -i $(SOURCES)

clean: ## remove build/
	@rm -rf build
