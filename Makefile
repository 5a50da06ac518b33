# The commands of a developer. The build itself is described in meson.build.
.DEFAULT_GOAL := help
.PHONY: help setup configure build run test check questions ring-test bench bench-collect bench-hours bench-questions bench-cluster fuzz format clean stack-up stack-down stack-status

SOURCES = $(shell find src tests -name '*.[ch]' -o -name '*.cc')

help: ## show these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 19

setup: ## install missing packages (from Debian, npm and PyPI)
	@scripts/setup.sh

configure: setup
	@test -f build/build.ninja || meson setup build --buildtype=release \
	    -Db_ndebug=false >&2

# Messages go to stderr, so that stdout contains only data, also with make. The first build shows its
# progress, later ones only errors.
build: configure ## build build/clickmill
	@if [ -x build/clickmill ]; then \
	    out=$$(ninja -C build --quiet clickmill) || { printf '%s\n' "$$out" >&2; exit 1; }; \
	else \
	    ninja -C build clickmill >&2; \
	fi

run: build ## start everything on this machine: make run [CONFIG=FILE] [ARGS="..."]
	@exec build/clickmill run $(if $(CONFIG),--config $(CONFIG)) $(ARGS)

# The tests build the program themselves, with compiler warnings as errors.
test: configure ## run all tests
	@scripts/setup.sh test
	@scripts/setup.sh stack || echo 'The tests that need the real engines will be skipped.' >&2
	@python3 tests/run.py

check: configure ## run the fast part of the tests
	@scripts/setup.sh test
	@python3 tests/run.py --fast

questions: build ## compare answers to random questions with SQL: [COUNT=5000] [EVENTS=5000] [SEED=1000]
	@scripts/setup.sh test
	@python3 tests/question_run.py $(if $(COUNT),--count $(COUNT)) $(if $(EVENTS),--events $(EVENTS)) \
		$(if $(SEED),--seed $(SEED))

bench: bench-collect bench-questions ## compare with other engines: make bench [SIZE=1000000] [SERIES=full]
	@python3 bench/bench.py $(if $(SIZE),--size $(SIZE)) $(if $(SERIES),--series $(SERIES))

bench-collect: build ## compare the collector with nginx, measured by wrk: [ROUNDS=3]
	@scripts/setup.sh bench
	@python3 bench/collect.py $(if $(ROUNDS),--rounds $(ROUNDS))

bench-hours: build ## measure pages of hours of 20 M events: [SIZE=20000000] [ROUNDS=3]
	@python3 bench/hours.py $(if $(SIZE),--size $(SIZE)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-questions: build ## compare questions with DuckDB and ClickHouse: [SIZE=1000000] [ONLY=table,span] [LONG=100000000] [ROUNDS=3]
	@python3 bench/questions.py $(if $(SIZE),--size $(SIZE)) $(if $(ONLY),--only $(ONLY)) $(if $(LONG),--long $(LONG)) \
		$(if $(ROUNDS),--rounds $(ROUNDS))

bench-cluster: build ## compare with minimal clients and the usual tools on real engines: [SIZE=1000000] [ONLY=bulk|shapes] [SPARK_TIMES=10]
	@scripts/setup.sh stack
	@ninja -C build --quiet bench/kafka_bare bench/cql_bare bench/elastic_bare >/dev/null
	@python3 bench/cluster.py $(if $(SIZE),--size $(SIZE)) $(if $(ONLY),--stages $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(SPARK_TIMES),--spark-times $(SPARK_TIMES))

ring-test: build ## kill, freeze and restart servers of a cluster (ring) under load: [RATE=1000]
	@scripts/setup.sh test
	@scripts/setup.sh stack
	@python3 tests/ring.py $(if $(RATE),--rate $(RATE))

fuzz: setup ## run the parsers on random input: make fuzz [TARGET=name] [SECONDS=60]
	@python3 tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGET)

# Choices: KAFKA=3.9|4.3 ELASTICSEARCH=7.17|8.19|opensearch-2.19 STACK=plain|secure
# CASSANDRA_HEAP=MB PORT_OFFSET=N STACK_DIR=DIRECTORY RING=3; docs/stack.md explains them.
STACK_PY = python3 stack/stack.py $(if $(STACK_DIR),--dir $(STACK_DIR))
STACK_CHOICES = $(if $(KAFKA),--kafka $(KAFKA)) $(if $(STACK),--profile $(STACK)) \
    $(if $(ELASTICSEARCH),--elasticsearch $(ELASTICSEARCH)) \
    $(if $(CASSANDRA_HEAP),--heap $(CASSANDRA_HEAP)) $(if $(PORT_OFFSET),--port-base $(PORT_OFFSET)) \
    $(if $(RING),--ring $(RING))

stack-up: ## start real engines: make stack-up [ENGINES="kafka spark"] [RING=3] [STACK=secure]
	@scripts/setup.sh stack
	@$(STACK_PY) up $(STACK_CHOICES) $(ENGINES)

stack-down: ## stop the engines that were started here
	@$(STACK_PY) down $(ENGINES)

stack-status: ## show versions, ports, pids and memory of the engines that were started here
	@$(STACK_PY) status $(ENGINES)

format: ## format the sources with clang-format
	@scripts/setup.sh test
	@PATH=$$PWD/build/python/clang_format/data/bin:$$PATH clang-format -i $(SOURCES)

clean: ## stop the engines and remove build/, which contains their data
	@if [ -d build/stack ]; then $(STACK_PY) down; fi
	@rm -rf build
