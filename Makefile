# SPDX-License-Identifier: Apache-2.0
# A thin front for Meson. `make help` lists the targets.

comma := ,
SAN ?=
BUILD := build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
DESTDIR ?=
PREFIX ?= /usr/local
CMD ?=

.PHONY: all help setup run test test-quick fuzz lint fmt install bench-api bench-block bench-boot bench-cpu bench-sandbox bench-stellar clean

all: $(BUILD)/build.ninja ## build into build/ (SAN=address,undefined: into a folder of its own)
	@ninja -C $(BUILD) --quiet $(if $(V),-v) >&2

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## install the Debian packages the project needs
	@tools/setup

$(BUILD)/build.ninja: | setup
	@meson setup --prefix=$(PREFIX) $(if $(SAN),-Db_sanitize=$(SAN) -Db_lundef=false) $(BUILD) >/dev/null

# What `make run` needs to end with the guest's status, see tools/make-exec.c.
ifneq ($(filter run,$(MAKECMDGOALS)),)
-load build-make/make_exec.so
build-make/make_exec.so: tools/make-exec.c | setup
	@mkdir -p build-make && $(CC) -O2 -Wall -shared -fPIC -o $@ $<
endif
is_dry := $(findstring n,$(firstword -$(MAKEFLAGS)))

run: all ## boot a Debian kernel to a shell, or run CMD='...' in it and exit with its status
	@$(if $(is_dry),,$(exec-run tools/run,$(value CMD)))tools/run $(if $(CMD),--cmd "$$CMD")
run: export CMD := $(value CMD)

test: all ## every test; those that need a real KVM run in the lab
	@tools/test --build $(BUILD) all

test-quick: all ## tests that need no lab
	@tools/test --build $(BUILD) quick

fuzz: all ## run each fuzzer for FUZZ_SECONDS (300)
	@tools/fuzz

lint: all ## clang-format, clang-tidy, cppcheck, include rules, shell syntax
	@tools/lint --build $(BUILD)

fmt: ## format the C sources
	@tools/lint --fix

bench-api: all ## cost of the API: until it answers, a request, a start by it
	@tools/bench-api

bench-block: all ## disks against QEMU microvm's with fio, in the lab
	@tools/bench-block

bench-boot: all ## boot time, memory and size against QEMU microvm, in the lab
	@tools/bench-boot

bench-cpu: all ## cost of memory, vCPUs, pausing and the PIT, in the lab
	@tools/bench-cpu

bench-sandbox: all ## cost of the sandbox until the guest runs, layer by layer, in the lab
	@tools/bench-sandbox

bench-stellar: all ## the store against restic, borg, casync and copies, on images from Debian packages
	@tools/bench-stellar

install: all ## install below DESTDIR and PREFIX
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild --quiet --strip

clean: ## remove what was built in this folder
	@rm -rf build build-*
