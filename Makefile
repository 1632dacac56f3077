# ngx_llm_stream: build, try, test.  "make help" lists the targets.
#
# Everything built is left in build/.  Without NGINX_SRC the module is built
# against the installed nginx (Debian's nginx-dev), with it against an unpacked
# source tree: NGINX_SRC=dir, and STATIC=1 for a whole nginx with the module
# linked in.

SHELL = /bin/bash

CC ?= cc
CFLAGS ?= -O2 -g
WARN = -Wall -Wextra -Wpointer-arith -Wshadow -Werror
INC = -Isrc/wire -Isrc/stage

BUILD = build
MODULE = $(BUILD)/ngx_llm_stream_module.so
MOCK = $(BUILD)/llm-mock
BENCH = $(BUILD)/llm-bench
RELAY = $(BUILD)/llm-relay

WIRE_SRC = $(wildcard src/wire/*.c src/wire/dialect/*.c)
LIB_SRC = $(WIRE_SRC) $(wildcard src/stage/*.c)
MOCK_SRC = $(wildcard mock_upstream/*.c)
CLIENT_SRC = $(wildcard benchmarks/client/*.c) mock_upstream/mock_delay.c
RELAY_SRC = $(wildcard benchmarks/relay/*.c) \
	$(patsubst %,benchmarks/client/bench_%.c,hist json loop memory) \
	mock_upstream/mock_buf.c mock_upstream/mock_heap.c
NGINX_SIDE = ngx_llm_stream_module.c $(wildcard src/nginx/*.c src/nginx/*.h)
HEADERS = $(wildcard src/*/*.h src/wire/dialect/*.h)

NGINX ?= /usr/sbin/nginx
MODULES_PATH ?= $(shell $(NGINX) -V 2>&1 \
	| sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')

.PHONY: all module mock deps help install clean demo demo-chat lint
.PHONY: bench bench-full bench-quick bench-tools
.PHONY: check check-clients check-deep bench-ir fuzz matrix versions
.PHONY: dist deb check-package check-newcomer

all: module mock

help:
	@echo 'make deps        install what is needed (Debian packages)'
	@echo 'make             build $(MODULE) and $(MOCK)'
	@echo 'make demo        stream a chat request through the module;'
	@echo '                 CLIENT=openai|simple|typed|text'
	@echo 'make demo-chat   a chat page in your browser; PORT=8080'
	@echo 'make check       all tests'
	@echo 'make check-clients  the official client libraries and a browser'
	@echo 'make check-deep  valgrind, sanitizers, fuzzing, cost gates'
	@echo 'make bench-ir    instructions and system calls per event'
	@echo 'make bench-quick plain nginx, module, Lua, njs: 3 minutes'
	@echo 'make bench       every scenario and entrant: 40 minutes'
	@echo 'make bench-full  the same, as many rounds as a claim needs: hours'
	@echo 'make fuzz TIME=1h  every fuzz target for that long together'
	@echo 'make matrix      every upstream dialect to every client dialect'
	@echo 'make versions NGINX_SRCS="dir dir"  build against several nginx'
	@echo 'make lint        style and static checks'
	@echo 'make check-package   build the packages twice, try them in a new root'
	@echo 'make check-newcomer  the README in an empty Debian'
	@echo 'make install     copy the module to nginx'"'"'s modules folder'
	@echo 'make dist        the archive of the sources, of what is committed'
	@echo 'make deb         the Debian package, in build/deb'
	@echo 'make clean       remove $(BUILD)/'

deps:
	@util/deps

# the module

module: $(MODULE)

$(MODULE): config $(NGINX_SIDE) $(LIB_SRC) $(HEADERS) util/build-module
	@NGINX_SRC='$(NGINX_SRC)' STATIC='$(STATIC)' util/build-module

# the mock provider

mock: $(MOCK)

$(MOCK): $(MOCK_SRC) $(WIRE_SRC) $(HEADERS) $(wildcard mock_upstream/*.h)
	@mkdir -p $(BUILD)
	$(CC) -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -Isrc/wire -o $@ \
	    $(MOCK_SRC) $(WIRE_SRC) -levent -levent_openssl -lssl -lcrypto -lm

# what benchmarks are made with

bench-tools: $(BENCH) $(RELAY)

$(BENCH): $(CLIENT_SRC) $(WIRE_SRC) $(HEADERS) \
	$(wildcard benchmarks/client/*.h mock_upstream/mock_delay.h)
	@mkdir -p $(BUILD)
	$(CC) -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -Isrc/wire \
	    -Ibenchmarks/client -Imock_upstream -o $@ $(CLIENT_SRC) $(WIRE_SRC) \
	    -lcurl -lm

$(RELAY): $(RELAY_SRC) $(WIRE_SRC) $(HEADERS) \
	$(wildcard benchmarks/relay/*.h benchmarks/client/*.h mock_upstream/*.h)
	@mkdir -p $(BUILD)
	$(CC) -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -Isrc/wire \
	    -Ibenchmarks/client -Imock_upstream -o $@ $(RELAY_SRC) $(WIRE_SRC) -lm

install: module
	install -D -m 644 $(MODULE) \
	    $(DESTDIR)$(MODULES_PATH)/ngx_llm_stream_module.so

# shipping it

dist:
	@util/dist

deb:
	@util/package

# trying it

demo:
	@util/demo $(CLIENT)

demo-chat:
	@PORT='$(PORT)' util/demo-chat

# testing it

check: all bench-tools
	@util/check

check-clients: all
	@t/clients/run
	@t/clients/run --controlled
	@prove -I t/lib t/clients/page.t

check-deep: all
	@util/check-deep

check-package: mock
	@util/check-package

check-newcomer:
	@util/check-newcomer

bench-ir: all
	@benchmarks/bench-ir --gate

bench-quick: all bench-tools
	@benchmarks/run --quick

bench: all bench-tools
	@util/deps bench
	@benchmarks/run

bench-full: all bench-tools
	@util/deps bench
	@benchmarks/run --full

fuzz:
	@util/fuzz '$(or $(TIME),6m)'

matrix:
	@util/matrix

versions:
	@util/versions $(NGINX_SRCS)

lint:
	@util/lint

clean:
	rm -rf $(BUILD)
