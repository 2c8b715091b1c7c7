# SPDX-License-Identifier: Apache-2.0
# weir - build, test, bench. `make help` lists the targets.
#
# Source files are found by wildcard. A new file needs no line here when it is
#   common/*.c loader/*.c loader/*/*.c   linked into build/weir and, through libweir.a, into tests
#   collector/*.c collector/*/*.c        linked into build/weir-collector and, the same way, into tests
#   tests/lib/*.c                        helpers that every test program can use
#   tests/unit/test_*.c                  one unit test program (Criterion)
#   tests/bpf/test_*.c, *.bpf.c          one BPF test program; a BPF object with its skeleton
#   tests/bench/bench_*.c, *.bpf.c       one benchmark program; the same
#   tests/e2e/test_*.sh, *.c, *.bpf.c    one end-to-end test; a tool that they call; its BPF object
#   tests/corpus/test_*.sh               one test over captures
#   tests/fuzz/fuzz_*.c                  one fuzz target, corpus in tests/fuzz/corpus/NAME
# Other .c files in tests/unit, tests/bpf and tests/bench are helpers of that folder's programs.
BUILD     ?= build
CLANG     ?= clang-16
BPFTOOL   ?= /usr/sbin/bpftool
PKGCONFIG ?= pkg-config
PREFIX    ?= /usr/local
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR   ?= $(PREFIX)/lib/systemd/system
FUZZ_SECONDS ?= 30
DEPS      ?= build/deps
VERSION   := 0.1.0
export BUILD

# Objects of a sanitizer build live beside the plain ones; BPF objects and skeletons are shared.
comma     := ,
OUT       := $(BUILD)$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
# Asked for once and late: on a fresh machine `make deps` has yet to install what answers.
once       = $(eval $(1) := $(shell $(2)))$($(1))
PKGS      := libbpf libelf zlib libssl libcrypto libseccomp jansson ncursesw yaml-0.1 sqlite3 libcurl
PKG_CFLAGS = $(call once,PKG_CFLAGS,$(PKGCONFIG) --cflags $(PKGS))
PKG_LIBS   = $(call once,PKG_LIBS,$(PKGCONFIG) --libs $(PKGS))
ARCHINC    = $(call once,ARCHINC,echo /usr/include/$$($(CC) -print-multiarch))

CFLAGS    ?= -O2 -g
WARNINGS  := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith \
             -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough
CPPFLAGS_ALL = -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' -Iinclude -I. -I$(BUILD)/gen $(PKG_CFLAGS)
ALLCFLAGS  = $(CFLAGS) -std=gnu17 $(WARNINGS) -fstack-protector-strong -fPIE $(CPPFLAGS_ALL) -MMD -MP
ALLLIBS    = $(PKG_LIBS) -lpthread -ldl $(LDFLAGS)
COLLECTOR_LIBS := -lmaxminddb -lmicrohttpd -lgnutls
BPF_CFLAGS = -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -Iinclude -Ibpf -I. -idirafter $(ARCHINC) \
             -MMD -MP
ifneq ($(SAN),)
# gcc sees null pointers and overflows that are not there once it instruments: no -Werror here.
ALLCFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer -Wno-error
ALLLIBS   += -fsanitize=$(SAN)
endif
FUZZ_SAN  := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

Q := $(if $(V),,@)
msg = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

objs        = $(patsubst %.c,$(OUT)/%.o,$(filter-out %.bpf.c,$(1)))
progs       = $(patsubst %.c,$(OUT)/%,$(wildcard $(1)))
skels       = $(patsubst %.bpf.c,$(BUILD)/gen/%.skel.h,$(notdir $(wildcard $(1)/*.bpf.c)))
# Of the programs of the product.
SKELETONS   := $(call skels,bpf)
COMMON_OBJS := $(call objs,$(wildcard common/*.c))
LOADER_OBJS := $(call objs,$(wildcard loader/*.c loader/*/*.c))
# The store needs duckdb.h to compile and loads libduckdb when it is opened (collector/store/duck.c): of the
# system, else the one `make deps` fetched. Without either, store_open() says so.
DUCKDB_SYSTEM := $(firstword $(wildcard /usr/include/duckdb.h /usr/local/include/duckdb.h))
DUCKDB_H    := $(or $(DUCKDB_SYSTEM),$(wildcard $(DEPS)/duckdb/duckdb.h))
DUCKDB_FETCHED := $(if $(DUCKDB_SYSTEM),,$(wildcard $(DEPS)/duckdb/libduckdb.so))
STORE_C     := $(filter-out %/store_none.c,$(wildcard collector/store/*.c))
ABSENT_C    := $(if $(DUCKDB_H),collector/store/store_none.c,$(STORE_C))
COLLECTOR_OBJS := $(call objs,$(filter-out $(ABSENT_C),$(wildcard collector/*.c collector/*/*.c)))
STORE_FLAGS := $(if $(DUCKDB_SYSTEM),,-isystem $(DEPS)/duckdb) -DWEIR_PRIVATE_LIB='"$(PREFIX)/lib/weir"' \
               -DWEIR_BUILD_LIB='"$(abspath $(DEPS))/duckdb"'
$(OUT)/collector/store/%.o: EXTRA_CFLAGS = $(STORE_FLAGS)
$(BUILD)/fuzz/collector/store/%.o $(BUILD)/cover/collector/store/%.o: FUZZ_FLAGS += $(STORE_FLAGS)
LIB_OBJS    := $(filter-out %/main.o,$(LOADER_OBJS) $(COLLECTOR_OBJS)) $(COMMON_OBJS)
TESTLIB_OBJS := $(call objs,$(wildcard tests/lib/*.c))
UNIT_BINS   := $(call progs,tests/unit/test_*.c)
BPFT_BINS   := $(call progs,tests/bpf/test_*.c)
BENCH_BINS  := $(call progs,tests/bench/bench_*.c)
E2E_BINS    := $(filter-out %.bpf,$(call progs,tests/e2e/*.c))
WEIR_NEXT   := $(OUT)/tests/e2e/weir_next
E2E_TOOLS   := $(E2E_BINS) $(OUT)/tests/bench/bench_load $(WEIR_NEXT)
FUZZ_BINS   := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
COVER_BINS  := $(patsubst $(BUILD)/fuzz/%,$(BUILD)/cover/%,$(FUZZ_BINS))
CORPUS_SH   := $(wildcard tests/corpus/test_*.sh)
E2E_SH      := $(wildcard tests/e2e/test_*.sh)
# They wait more than they work, each in namespaces of its own: two at a time, those that take longest first.
E2E_AT_ONCE ?= 2
E2E_LONG    := $(patsubst %,tests/e2e/test_%.sh,takeover doctor netns policy_faults faults attach export_faults)
E2E_ORDER   := $(filter $(E2E_SH),$(E2E_LONG)) $(filter-out $(E2E_LONG),$(E2E_SH))

# ---- programs ----
all: $(OUT)/weir $(OUT)/weir-collector ## build the programs (build/weir, build/weir-collector)

$(BUILD)/%.bpf.o: %.bpf.c
	@mkdir -p $(@D)
	$(call msg,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

define skeleton
	@mkdir -p $(@D)
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@
endef
$(BUILD)/gen/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(skeleton)
$(BUILD)/gen/%.skel.h: $(BUILD)/tests/bpf/%.bpf.o
	$(skeleton)
$(BUILD)/gen/%.skel.h: $(BUILD)/tests/bench/%.bpf.o
	$(skeleton)
$(BUILD)/gen/%.skel.h: $(BUILD)/tests/e2e/%.bpf.o
	$(skeleton)

$(OUT)/%.o: %.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(call msg,CC,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(EXTRA_CFLAGS) -c $< -o $@

# The commit is in the metrics; where there is no repository, whoever builds may say it.
COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || cat $(BUILD)/gen/commit 2>/dev/null || echo unknown)
METRICS_O := $(OUT)/loader/control/metrics.o $(OUT)/collector/metrics.o
$(METRICS_O): EXTRA_CFLAGS = -DWEIR_COMMIT='"$(shell cat $(BUILD)/gen/commit)"'
$(METRICS_O): $(BUILD)/gen/commit
$(BUILD)/gen/commit: force
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@
.PHONY: force

# What they are made of changes without any file of it changing: when libduckdb comes, or a file goes.
$(OUT)/objects: force
	@mkdir -p $(@D)
	@echo '$(LIB_OBJS:$(OUT)/%=%)' | cmp -s - $@ || echo '$(LIB_OBJS:$(OUT)/%=%)' >$@

$(OUT)/weir: $(LOADER_OBJS) $(COMMON_OBJS) $(OUT)/objects
	$(call msg,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(filter %.o,$^) -o $@ -Wl,--as-needed $(ALLLIBS)

$(OUT)/weir-collector: $(COLLECTOR_OBJS) $(COMMON_OBJS) $(OUT)/objects
	$(call msg,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(filter %.o,$^) -o $@ -Wl,--as-needed $(ALLLIBS) $(COLLECTOR_LIBS) -lm

# ---- test programs: their own object, their folder's helpers, tests/lib, and the project ----
define archive
	@mkdir -p $(@D)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
endef
helpers = $(call objs,$(filter-out tests/$(1)/$(2)_%,$(wildcard tests/$(1)/*.c)))
$(OUT)/libweir.a: $(LIB_OBJS) $(OUT)/objects
	$(archive)
$(OUT)/tests/lib.a: $(TESTLIB_OBJS)
	$(archive)
$(OUT)/tests/unit.a: $(call helpers,unit,test)
	$(archive)
$(OUT)/tests/bpf.a: $(call helpers,bpf,test)
	$(archive)
$(OUT)/tests/bench.a: $(call helpers,bench,bench)
	$(archive)

$(OUT)/tests/%.o: EXTRA_CFLAGS := -Ibpf -Itests/lib
$(call objs,$(wildcard tests/bpf/*.c)): | $(call skels,tests/bpf)
$(call objs,$(wildcard tests/bench/*.c)): | $(call skels,tests/bench)
$(call objs,$(wildcard tests/e2e/*.c)): | $(call skels,tests/e2e)
TEST_LIBS = $(OUT)/tests/lib.a $(OUT)/libweir.a
define link_test
	$(call msg,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(ALLLIBS) $(COLLECTOR_LIBS) $(1) -lm
endef
$(UNIT_BINS): %: %.o $(OUT)/tests/unit.a $(TEST_LIBS)
	$(call link_test,-lcriterion)
$(BPFT_BINS): %: %.o $(OUT)/tests/bpf.a $(TEST_LIBS)
	$(call link_test,-lcriterion)
$(BENCH_BINS): %: %.o $(OUT)/tests/bench.a $(TEST_LIBS)
	$(call link_test,)
$(E2E_BINS): %: %.o $(TEST_LIBS)
	$(call link_test,)

# A weir whose tables are of another version: one takes the place of the other.
$(WEIR_NEXT).o: loader/pin.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(call msg,CC,$@)
	$(Q)$(CC) $(ALLCFLAGS) -DWEIR_ABI_VERSION=65000 -c $< -o $@
$(WEIR_NEXT): $(WEIR_NEXT).o $(filter-out %/loader/pin.o,$(LOADER_OBJS)) $(COMMON_OBJS) $(OUT)/objects
	$(call msg,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(filter %.o,$^) -o $@ $(ALLLIBS)

# ---- running tests; tests/run counts, and prints the closing line ----
SAN_DIR   := $(BUILD)/san-address-undefined
SAN_MAKE   = $(MAKE) --no-print-directory SAN=address,undefined
forget     = tests/run --forget
run_unit   = tests/run -j 2 unit $(UNIT_BINS)
run_san    = tests/sanitized $(SAN_DIR) $(notdir $(UNIT_BINS))
run_root   = if [ "$$(id -u)" = 0 ]; then tests/run $(3) $(1) $(2); \
             else tests/run --skip $(1) "needs root: sudo make test-$(1)" $(2); fi
run_bpf    = $(call run_root,bpf,$(BPFT_BINS))
run_corpus = $(call run_root,corpus,$(CORPUS_SH))
run_e2e    = $(call run_root,e2e,$(E2E_ORDER),-p $(E2E_AT_ONCE))

test: deps ## everything: unit, sanitizers, bpf, corpus, e2e (as root; installs what is missing)
	@$(MAKE) --no-print-directory test-all

test-all: all $(UNIT_BINS) $(BPFT_BINS) $(E2E_TOOLS) build-san
	@$(forget); $(run_unit); $(run_san); $(run_bpf); $(run_corpus); $(run_e2e); tests/run --total

test-unit: $(UNIT_BINS) ## unit tests, no privileges
	@$(forget); $(run_unit); tests/run --total

build-san: $(SKELETONS)
	+@$(SAN_MAKE) build-unit
build-unit: $(UNIT_BINS)

test-san: build-san ## the unit tests under ASan, UBSan and LeakSanitizer
	@$(forget); $(run_san); tests/run --total

test-bpf: $(BPFT_BINS) ## the BPF programs under BPF_PROG_TEST_RUN (root)
	@$(forget); $(run_bpf); tests/run --total

test-corpus: all ## captures replayed, against recorded facts (root; WEIR_PCAPS=DIR)
	@$(forget); $(run_corpus); tests/run --total

test-e2e: all $(E2E_TOOLS) ## real clients and servers in network namespaces (root)
	@$(forget); $(run_e2e); tests/run --total

test-kernels: all $(BPFT_BINS) ## the BPF tests on Debian's 6.1 and 6.12 kernels, in QEMU
	@packaging/deps.sh build test kernels
	@$(forget); tests/kernels/run $(BPFT_BINS); tests/run --total

test-systemd: ## the package and its service on a Debian with systemd, in QEMU (root)
	@packaging/deps.sh build package kernels
	@packaging/package.sh $(BUILD)/package $(VERSION)
	@$(forget); tests/kernels/run_systemd $(BUILD)/package/weir_$(VERSION)_*.deb; tests/run --total

demo: ## real traffic in namespaces: flows live and from the store, exact sums; a scan, its packets, its mirror (root)
	@packaging/deps.sh build test
	@$(if $(DUCKDB_SYSTEM),,packaging/npm.sh $(DEPS)/duckdb)
	@$(MAKE) --no-print-directory all $(E2E_BINS)
	@tests/e2e/demo.sh
	@tests/e2e/demo_alarm.sh

bench: ## ns per packet beside other designs, drain, live rate (root): build/bench.csv
	@packaging/deps.sh build test bench
	@$(if $(DUCKDB_SYSTEM),,packaging/npm.sh $(DEPS)/duckdb)
	@$(MAKE) --no-print-directory all $(BENCH_BINS) $(E2E_BINS) $(call skels,tests/bench)
	@tests/bench/run

# ---- fuzzing: clang, libFuzzer; cover/ is the same with coverage counters instead ----
$(BUILD)/fuzz/%.o: FUZZ_FLAGS := -fsanitize=fuzzer-no-link $(FUZZ_SAN)
$(BUILD)/cover/%.o: FUZZ_FLAGS := -fprofile-instr-generate -fcoverage-mapping
define fuzz_cc
	@mkdir -p $(@D)
	$(call msg,CLANG,$@)
	$(Q)$(CLANG) -O1 -g -std=gnu17 -Wall -Wextra -Werror $(FUZZ_FLAGS) $(CPPFLAGS_ALL) -Ibpf -Itests/lib \
		-MMD -MP -c $< -o $@
endef
$(BUILD)/fuzz/%.o: %.c | $(SKELETONS)
	$(fuzz_cc)
$(BUILD)/cover/%.o: %.c | $(SKELETONS)
	$(fuzz_cc)
$(BUILD)/fuzz/libweir.a: $(patsubst $(OUT)/%,$(BUILD)/fuzz/%,$(LIB_OBJS) $(TESTLIB_OBJS)) $(OUT)/objects
	$(archive)
$(BUILD)/cover/libweir.a: $(patsubst $(OUT)/%,$(BUILD)/cover/%,$(LIB_OBJS) $(TESTLIB_OBJS)) $(OUT)/objects
	$(archive)
$(FUZZ_BINS): $(BUILD)/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.o $(BUILD)/fuzz/libweir.a
	$(call msg,LD,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer $(FUZZ_SAN) $^ -o $@ $(ALLLIBS) $(COLLECTOR_LIBS) -lm
$(COVER_BINS): $(BUILD)/cover/%: $(BUILD)/cover/tests/fuzz/%.o $(BUILD)/cover/libweir.a
	$(call msg,LD,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer -fprofile-instr-generate $^ -o $@ $(ALLLIBS) $(COLLECTOR_LIBS) -lm

fuzz: $(FUZZ_BINS) ## each fuzz target for FUZZ_SECONDS (30)
	@$(forget); tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ_BINS); tests/run --total

fuzz-coverage: $(COVER_BINS) ## lines of the fuzzed files that the committed corpus reaches (90 % or fail)
	@tests/fuzz/coverage $(COVER_BINS)

# ---- habits ----
C_FILES := $(shell find include bpf common loader collector tests docs -name '*.[ch]' 2>/dev/null)
deps: ## install the Debian packages that are missing, fetch libduckdb (packaging/*.txt)
	@packaging/deps.sh
	@$(if $(DUCKDB_SYSTEM),,packaging/npm.sh $(DEPS)/duckdb)
fmt: ## clang-format every C file in place
	$(Q)clang-format -i $(C_FILES)
lint: $(SKELETONS) ## every check of tests/lint, and that generated docs are current
	@tests/lint/run
tidy: $(SKELETONS) ## clang-tidy with the list of .clang-tidy (slow)
	$(Q)clang-tidy --quiet $(wildcard common/*.c loader/*.c loader/*/*.c) -- -std=gnu17 $(CPPFLAGS_ALL)

DOCS := docs/fields.md docs/counters.md docs/ipfix.md
PAGES := $(patsubst packaging/%.yaml,docs/%.md,$(wildcard packaging/rules/*.yaml)) # tests/e2e/test_cli.sh compares
$(BUILD)/docs/gen: docs/gen.c include/weir/fields.def include/weir/counters.def include/weir/policy_counts.def include/weir/ipfix.def
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 $(WARNINGS) -Iinclude $< -o $@
docs: $(BUILD)/docs/gen $(OUT)/weir-collector ## write the reference pages that come from the tables, and those of rules
	$(Q)for d in $(DOCS); do $< $$(basename $$d .md) > $$d || exit 1; done
	$(Q)for d in $(PAGES); do $(OUT)/weir-collector rules explain -o markdown \
		packaging/rules/$$(basename $$d .md).yaml > $$d || exit 1; done
docs-check: $(BUILD)/docs/gen ## fail if a generated page is not what the tables say
	@for d in $(DOCS); do $< $$(basename $$d .md) | diff -u $$d - || { echo "run: make docs"; exit 1; }; done

# ---- man pages, completion, the default configuration: made by weir of its own tables ----
MAN_PAGES := $(patsubst docs/man/%.scd,$(BUILD)/man/%,$(wildcard docs/man/*.scd))
SHELLS    := $(foreach p,weir weir-collector,$(addprefix $(BUILD)/shell/$(p).,bash zsh fish))
$(BUILD)/man/weir-collector%: docs/man/weir-collector%.scd docs/man/make $(OUT)/weir-collector
	@mkdir -p $(@D)
	$(call msg,MAN,$@)
	$(Q)docs/man/make $(OUT)/weir-collector $< > $@
$(BUILD)/man/%: docs/man/%.scd docs/man/make $(OUT)/weir
	@mkdir -p $(@D)
	$(call msg,MAN,$@)
	$(Q)docs/man/make $(OUT)/weir $< > $@
$(BUILD)/shell/weir.%: $(OUT)/weir
	@mkdir -p $(@D)
	$(Q)$< completion $* > $@
$(BUILD)/shell/weir-collector.%: $(OUT)/weir-collector
	@mkdir -p $(@D)
	$(Q)$< completion $* > $@
$(BUILD)/weir.conf: $(OUT)/weir
	$(Q)$< __reference conf > $@
$(BUILD)/collector.conf: $(OUT)/weir-collector
	$(Q)$< __reference conf > $@
man: $(MAN_PAGES) ## the man pages (build/man)

SHARE      = $(DESTDIR)$(PREFIX)/share
PRIVATE_LIB = $(DESTDIR)$(PREFIX)/lib/weir
# PROGRAM CONF
define install_program
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/sbin $(OUT)/$(1)
	install -D -m 644 $(BUILD)/shell/$(1).bash $(SHARE)/bash-completion/completions/$(1)
	install -D -m 644 $(BUILD)/shell/$(1).zsh $(SHARE)/zsh/vendor-completions/_$(1)
	install -D -m 644 $(BUILD)/shell/$(1).fish $(SHARE)/fish/vendor_completions.d/$(1).fish
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|@SBINDIR@|$(PREFIX)/sbin|g; s|@SYSCONFDIR@|$(SYSCONFDIR)|g' packaging/systemd/$(1).service \
		> $(DESTDIR)$(UNITDIR)/$(1).service
	test -e $(DESTDIR)$(SYSCONFDIR)/weir/$(2) || \
		install -D -m 644 $(BUILD)/$(2) $(DESTDIR)$(SYSCONFDIR)/weir/$(2)
	install -D -m 644 $(BUILD)/$(2) $(SHARE)/doc/weir/examples/$(2)
endef
install: all man $(SHELLS) $(BUILD)/weir.conf $(BUILD)/collector.conf ## install to PREFIX (/usr/local), under DESTDIR
	$(call install_program,weir,weir.conf)
	$(call install_program,weir-collector,collector.conf)
	$(if $(DUCKDB_FETCHED),install -D -m 644 $(DEPS)/duckdb/libduckdb.so $(PRIVATE_LIB)/libduckdb.so)
	$(if $(DUCKDB_FETCHED),install -D -m 644 $(DEPS)/duckdb/LICENSE $(SHARE)/doc/weir/libduckdb.LICENSE)
	install -D -m 644 -t $(SHARE)/weir/rules $(wildcard packaging/rules/*.yaml)
	install -D -m 644 -t $(SHARE)/man/man5 $(filter %.5,$(MAN_PAGES))
	install -D -m 644 -t $(SHARE)/man/man8 $(filter %.8,$(MAN_PAGES))
	install -D -m 644 packaging/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/weir.conf
	install -D -m 644 packaging/systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/weir.conf
	install -D -m 644 -t $(SHARE)/doc/weir/examples packaging/k8s/weir.yaml
	install -D -m 644 -t $(SHARE)/doc/weir README.md docs/security.md docs/policy.md docs/rules.md docs/packs.md docs/nodes.md docs/api.md $(DOCS)
	install -D -m 644 -t $(SHARE)/doc/weir/rules $(PAGES)
uninstall: ## remove what install put there, but not the configuration
	rm -f $(PRIVATE_LIB)/libduckdb.so \
		$(addprefix $(SHARE)/man/man5/,$(notdir $(filter %.5,$(MAN_PAGES)))) \
		$(addprefix $(SHARE)/man/man8/,$(notdir $(filter %.8,$(MAN_PAGES)))) \
		$(foreach p,weir weir-collector,$(DESTDIR)$(PREFIX)/sbin/$(p) $(DESTDIR)$(UNITDIR)/$(p).service \
		$(SHARE)/bash-completion/completions/$(p) $(SHARE)/zsh/vendor-completions/_$(p) \
		$(SHARE)/fish/vendor_completions.d/$(p).fish) \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/weir.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/weir.conf
	rm -rf $(SHARE)/doc/weir $(SHARE)/weir/rules
package: ## a Debian package: build/package/weir_VERSION_ARCH.deb, checked by lintian
	packaging/package.sh $(BUILD)/package $(VERSION)
clean: ## remove what was built; what `make deps` fetched stays
	@[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -path $(DEPS) -exec rm -rf {} +
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: all test test-all test-unit test-san test-bpf test-corpus test-e2e test-kernels test-systemd build-san build-unit \
	demo bench fuzz fuzz-coverage deps fmt lint tidy docs docs-check man package install uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(BUILD) -path $(BUILD)/package -prune -o -type f -name '*.d' -print 2>/dev/null)
