# weir - build, test, bench. `make help` lists the targets.
# SPDX-License-Identifier: Apache-2.0
BUILD     ?= build
CLANG     ?= clang-16
BPFTOOL   ?= /usr/sbin/bpftool
PKGCONFIG ?= pkg-config
VERSION   := 0.1.0
ARCHINC   := /usr/include/$(shell $(CC) -print-multiarch)

PKGS      := libbpf libelf zlib libcrypto
CFLAGS    ?= -O2 -g
ALLCFLAGS := $(CFLAGS) -std=gnu17 -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
             -Wpointer-arith -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough -fstack-protector-strong -fPIE \
             -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' -Iinclude -I. -I$(BUILD)/gen -MMD -MP $(shell $(PKGCONFIG) --cflags $(PKGS))
ALLLIBS   := $(shell $(PKGCONFIG) --libs $(PKGS)) -lpthread
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -Iinclude -Ibpf -idirafter $(ARCHINC) -MMD -MP
ifneq ($(SAN),)
ALLCFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer
ALLLIBS   += -fsanitize=$(SAN)
endif

Q := $(if $(V),,@)
msg = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

COMMON_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard common/*.c))
LOADER_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard loader/*.c loader/*/*.c))
UNIT_BINS   := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
BPFT_BINS   := $(patsubst tests/bpf/%.c,$(BUILD)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))

all: $(BUILD)/weir ## build the programs
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call msg,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/gen/%.skel.h: $(BUILD)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@

$(BUILD)/%.o: %.c | $(BUILD)/gen/weir.skel.h
	@mkdir -p $(@D)
	$(call msg,CC,$@)
	$(Q)$(CC) $(ALLCFLAGS) -c $< -o $@

$(BUILD)/weir: $(LOADER_OBJS) $(COMMON_OBJS)
	$(call msg,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $^ -o $@ $(ALLLIBS)

# Tests link everything but the programs' main().
TEST_OBJS = $(filter-out $(BUILD)/loader/main.o,$(LOADER_OBJS)) $(COMMON_OBJS)
$(BUILD)/tests/%: tests/%.c $(TEST_OBJS) | $(BUILD)/gen/weir.skel.h
	@mkdir -p $(@D)
	$(call msg,TEST,$@)
	$(Q)$(CC) $(ALLCFLAGS) -Ibpf $< $(TEST_OBJS) -o $@ $(ALLLIBS) -lcriterion

test-unit: $(UNIT_BINS) ## unit tests, no privileges
	$(Q)rc=0; for t in $^; do $$t || rc=1; done; exit $$rc

test-bpf: $(BPFT_BINS) ## BPF programs under BPF_PROG_TEST_RUN, root
	$(Q)rc=0; for t in $^; do $$t -j1 || rc=1; done; exit $$rc

clean: ## remove what was built
	rm -rf $(BUILD)

.PHONY: all test-unit test-bpf clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
