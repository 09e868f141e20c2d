# multisocket: build, test, install. `make help` lists what there is.
#
# One rule compiles everything. A variant (release, unit, asan, ...) is this
# Makefile called again with VARIANT set: same sources, other FLAGS.<variant>,
# objects under build/<variant>/.

LUA_VERSION ?= 5.4
LUA         ?= lua$(LUA_VERSION)
PREFIX      ?= /usr/local
LUADIR      ?= $(PREFIX)/share/lua/$(LUA_VERSION)
LIBDIR      ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
INCLUDEDIR  ?= $(PREFIX)/include
CLIBDIR     ?= $(PREFIX)/lib
CFLAGS      ?= -O2 -g
LIBFLAG     ?= -shared

VARIANT := release
BUILD   := build/$(VARIANT)
CORE    := multisocket/core.so
# The engine for C: what programs link at run time ends in SO_MAJOR, which
# changes when old programs no longer work with it.
VERSION  := $(shell sed -n 's/^\#define MS_VERSION "\(.*\)"/\1/p' src/multisocket.h)
SO_MAJOR := 0
STATIC_LIB := $(BUILD)/engine.a
SHARED_LIB := $(BUILD)/libmultisocket.so.$(VERSION)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
            -fno-omit-frame-pointer -O1

# Most functions are small and called from another file: inlined over files, a
# request takes a tenth fewer instructions. Fat objects, so that the static
# library links without it too. Nobody replaces our public functions by others
# at run time: we call them directly. Not every compiler can.
LTO_FLAGS := -flto=auto -ffat-lto-objects -fno-semantic-interposition
FLAGS.release      := $(shell d=$$(mktemp -d) && \
                        echo 'int main(void) { return 0; }' >$$d/t.c && \
                        $(CC) $(LTO_FLAGS) -o $$d/t $$d/t.c 2>/dev/null && \
                        echo '$(LTO_FLAGS)'; rm -rf $$d)
FLAGS.unit         := -DMS_FAIL_ALLOC -UNDEBUG
FLAGS.asan         := -UNDEBUG $(SANITIZE)
FLAGS.asan-unit    := $(FLAGS.unit) $(SANITIZE)
FLAGS.tsan         := -UNDEBUG -fsanitize=thread -fno-omit-frame-pointer -O1
FLAGS.fuzz         := $(FLAGS.asan-unit) -fsanitize=fuzzer-no-link
FLAGS.coverage     := $(FLAGS.unit) -O0 --coverage
FLAGS.mutant       := -DMS_FAIL_ALLOC -UNDEBUG -O1
FLAGS.gcc-werror   := -DMS_FAIL_ALLOC -Werror
FLAGS.clang-werror := -DMS_FAIL_ALLOC -Werror

# Libraries: LuaRocks passes directories, anybody else has pkg-config.
# -isystem, because the warnings above are for our headers only.
pkg_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(1) 2>/dev/null))
LUA_CFLAGS   := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(call pkg_cflags,lua$(LUA_VERSION)))
CARES_CFLAGS := $(if $(CARES_INCDIR),-I$(CARES_INCDIR),$(call pkg_cflags,libcares))
CARES_LIBS   := $(if $(CARES_LIBDIR),-L$(CARES_LIBDIR) -lcares,$(shell \
                  pkg-config --libs libcares 2>/dev/null || echo -lcares))

NGHTTP2_CFLAGS := $(if $(NGHTTP2_INCDIR),-I$(NGHTTP2_INCDIR),$(call pkg_cflags,libnghttp2))
NGHTTP2_LIBS   := $(if $(NGHTTP2_LIBDIR),-L$(NGHTTP2_LIBDIR) -lnghttp2,$(shell \
                    pkg-config --libs libnghttp2 2>/dev/null || echo -lnghttp2))
OPENSSL_CFLAGS := $(if $(OPENSSL_INCDIR),-I$(OPENSSL_INCDIR),$(call pkg_cflags,openssl))
OPENSSL_LIBS   := $(if $(OPENSSL_LIBDIR),-L$(OPENSSL_LIBDIR) -lssl -lcrypto,$(shell \
                    pkg-config --libs openssl 2>/dev/null || echo -lssl -lcrypto))
ZLIB_CFLAGS := $(if $(ZLIB_INCDIR),-I$(ZLIB_INCDIR),$(call pkg_cflags,zlib))
ZLIB_LIBS   := $(if $(ZLIB_LIBDIR),-L$(ZLIB_LIBDIR) -lz,$(shell \
                 pkg-config --libs zlib 2>/dev/null || echo -lz))
# Content codings, where their libraries are there; BROTLI=no and ZSTD=no leave
# them out.
BROTLI ?= $(shell pkg-config --exists libbrotlidec 2>/dev/null && echo yes || echo no)
ZSTD   ?= $(shell pkg-config --exists libzstd 2>/dev/null && echo yes || echo no)
CODINGS := $(if $(filter yes,$(BROTLI)),libbrotlidec) $(if $(filter yes,$(ZSTD)),libzstd)
CODING_CFLAGS := $(ZLIB_CFLAGS) \
  $(if $(findstring brotli,$(CODINGS)),-DMS_HAVE_BROTLI $(call pkg_cflags,libbrotlidec)) \
  $(if $(findstring zstd,$(CODINGS)),-DMS_HAVE_ZSTD $(call pkg_cflags,libzstd))
CODING_LIBS := $(ZLIB_LIBS) $(if $(strip $(CODINGS)),$(shell pkg-config --libs $(CODINGS)))
# International names, where libidn2 is there; IDN2=no leaves them out.
IDN2        ?= $(shell pkg-config --exists libidn2 2>/dev/null && echo yes || echo no)
IDN2_CFLAGS := $(if $(filter yes,$(IDN2)),-DMS_HAVE_IDN2 $(call pkg_cflags,libidn2))
IDN2_LIBS   := $(if $(filter yes,$(IDN2)),$(shell pkg-config --libs libidn2))
# The public suffix list, where libpsl is there; PSL=no leaves it out.
PSL        ?= $(shell pkg-config --exists libpsl 2>/dev/null && echo yes || echo no)
PSL_CFLAGS := $(if $(filter yes,$(PSL)),-DMS_HAVE_PSL $(call pkg_cflags,libpsl))
PSL_LIBS   := $(if $(filter yes,$(PSL)),$(shell pkg-config --libs libpsl))
LIBS := $(CARES_LIBS) $(NGHTTP2_LIBS) $(OPENSSL_LIBS) $(CODING_LIBS) $(IDN2_LIBS) $(PSL_LIBS)

SOURCES    := $(wildcard src/*/*.c)
OBJECTS    := $(SOURCES:%.c=$(BUILD)/%.o)
UNIT_SRC   := $(wildcard spec/unit/*.c)
UNIT_NAMES := $(patsubst spec/unit/%.c,%,$(wildcard spec/unit/test_*.c))
UNITS      := $(UNIT_NAMES:%=$(BUILD)/%)
FUZZ_NAMES := $(patsubst spec/fuzz/fuzz_%.c,%,$(wildcard spec/fuzz/fuzz_*.c))
REPLAYS    := $(FUZZ_NAMES:%=$(BUILD)/replay_%)
FUZZERS    := $(FUZZ_NAMES:%=$(BUILD)/fuzz_%)
OUTCOMES   := $(patsubst spec/fuzz/%.c,$(BUILD)/%,$(wildcard spec/fuzz/*_outcome.c))
# The C tests of a variant: units, and what fuzzing has collected.
c_tests    = $(UNIT_NAMES:%="$(2)build/$(1)/%") \
             $(foreach n,$(FUZZ_NAMES),"$(2)build/$(1)/replay_$(n) spec/fuzz/corpus/$(n)")
C_FILES    := $(wildcard src/*.h src/*/*.[ch] spec/*/*.[ch] \
                examples/*.[ch] examples/*/*.[ch] bench/*/*.[ch])
LUA_FILES  := $(wildcard lua/*.lua lua/*/*.lua lua/*/*/*.lua)
LUA_CHECKED := .ci .busted .luacheckrc *.rockspec $(wildcard lua spec examples bench \
                 bench/run bench/instructions bench/syscalls)

COMPILE := $(CC) -std=c11 -D_GNU_SOURCE -Isrc -fPIC -fvisibility=hidden $(WARNINGS) \
           $(LUA_CFLAGS) $(CARES_CFLAGS) $(NGHTTP2_CFLAGS) \
           $(OPENSSL_CFLAGS) $(CODING_CFLAGS) $(IDN2_CFLAGS) $(PSL_CFLAGS) $(CPPFLAGS) $(CFLAGS) \
           $(FLAGS.$(VARIANT))

# How tests, examples and benchmarks find this checkout; absolute, because
# some of them start programs elsewhere.
run_in = LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;" \
         LUA_CPATH="$(CURDIR)/$(1)?.so;;"
ENV    := $(call run_in)
FILES  := ulimit -Sn $$(ulimit -Hn)
BUSTED := $(LUA) .ci/busted.lua
SPECS   = $(if $(SPEC),$(BUSTED) $(SPEC),$(LUA) .ci/specs.lua)
TALLY  := $(LUA) .ci/tally.lua

# A variant is built on all processors, unless you said -j yourself.
NPROC := $(shell nproc 2>/dev/null || echo 2)
Q     := $(if $(V),,@)# V=1 shows whole commands
QUICK  = --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(NPROC))

.PHONY: print-libs all demo test unit spec check configurations deps format format-check layers lint warnings \
        asan tsan valgrind mutants model fuzz fuzz-diff fuzz-coverage http-state \
        bench instructions syscalls install rock clean help \
        install-lua install-c core libs units replays fuzzers outcomes objects FORCE
.DELETE_ON_ERROR:

all: ## build ./multisocket/core.so and the libraries for C (the default)
	@$(MAKE) $(QUICK) core libs

demo: ## install what is missing, build, run the demonstration
	@.ci/deps demo
	@$(MAKE) $(QUICK) core
	@$(FILES) && $(ENV) $(LUA) examples/demo.lua

test: ## install what is missing, build, run every test
	@.ci/deps test
	@$(MAKE) $(QUICK) core
	@$(MAKE) $(QUICK) VARIANT=unit units
	@$(FILES) && $(ENV) $(TALLY) $(call c_tests,unit) "$(SPECS)"

unit: ## run the C tests
	@$(MAKE) $(QUICK) VARIANT=unit units
	@$(TALLY) $(call c_tests,unit)

spec: ## run the Lua tests; SPEC="spec/x_spec.lua --filter=y" for some of them
	@$(MAKE) $(QUICK) core
	@$(FILES) && $(ENV) $(TALLY) "$(SPECS)"

check: ## the gate: format, layers, lint, warnings as errors, every test
	@.ci/deps check
	@$(MAKE) --no-print-directory format-check layers lint warnings
	@$(MAKE) --no-print-directory test

deps: ## install the Debian packages that tests and demo need
	@.ci/deps test

format: ## rewrite the C files as .clang-format says
	clang-format -i $(C_FILES)

format-check: ## fail where `make format` would change something
	@clang-format --dry-run -Werror $(C_FILES)

layers: ## check every #include against src/LAYERS
	@$(LUA) .ci/layers.lua

lint: ## luacheck, and the size of functions and files
	@luacheck -q $(LUA_CHECKED)
	@$(LUA) .ci/size.lua

warnings: ## compile with gcc and with clang, warnings are errors
	@$(MAKE) $(QUICK) VARIANT=gcc-werror CC=gcc objects
	@$(MAKE) $(QUICK) VARIANT=clang-werror CC=clang objects

# A build without each library that may be absent, and without all of them: no
# warning from either compiler, the C tests, the specs that have to do with
# them, and what LuaRocks makes of it. CONFIGURATIONS=ZSTD for one of them.
OPTIONAL            := BROTLI ZSTD IDN2 PSL
CONFIGURATIONS      ?= $(OPTIONAL) ALL
CONFIGURATION_SPECS := $(addprefix spec/,$(addsuffix _spec.lua,configuration client cookie \
                         cookie_wire core_surface decode decode_bomb decode_fair input names \
                         range resume ssrf surface url))
configurations: ## build and test without each optional library, with gcc and with clang
	@.ci/deps check
	@for c in $(CONFIGURATIONS); do \
	  echo "without $$c" && $(MAKE) --no-print-directory configuration-$$c || exit 1; \
	done

absent     = $(if $(filter ALL,$*),$(OPTIONAL),$*)
without    = $(absent:%=%=no)
CONFIGURED = build/without/$*
configuration-%: FORCE
	@$(MAKE) $(QUICK) VARIANT=gcc-werror CC=gcc BUILD=$(CONFIGURED)-gcc $(without) \
	  CORE=$(CONFIGURED)/multisocket/core.so core units
	@$(MAKE) $(QUICK) VARIANT=clang-werror CC=clang BUILD=$(CONFIGURED)-clang $(without) objects
	@$(FILES) && $(call run_in,$(CONFIGURED)/) WITHOUT="$(absent)" \
	  $(TALLY) $(call c_tests,without/$*-gcc) "$(LUA) .ci/specs.lua $(CONFIGURATION_SPECS)"
	@rm -rf $(CONFIGURED)/tree && $(without) MAKEFLAGS= luarocks --lua-version=5.4 make \
	  --deps-mode=none --tree $(CURDIR)/$(CONFIGURED)/tree >$(CONFIGURED)/luarocks.log 2>&1 || \
	  { cat $(CONFIGURED)/luarocks.log; exit 1; }
	@$(FILES) && LUA_PATH="$(CONFIGURED)/tree/share/lua/5.4/?.lua;$(CONFIGURED)/tree/share/lua/5.4/?/init.lua;;" \
	  LUA_CPATH="$(CONFIGURED)/tree/lib/lua/5.4/?.so;;" WITHOUT="$(absent)" \
	  $(TALLY) "$(LUA) .ci/specs.lua spec/configuration_spec.lua"

# The scripted TLS server of the specs, which build it when they need it.
TLS_PEER := $(wildcard spec/support/tls_peer*.c)
build/tls_peer: $(TLS_PEER) spec/support/tls_peer.h
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O1 -g -o $@.new $(TLS_PEER) \
	  $(call pkg_cflags,openssl) $(shell pkg-config --libs openssl) -pthread
	@mv $@.new $@

# The sanitizers' runtime must be there before Lua is; nodlclose keeps our
# module mapped at exit, so that a leak's stack has names.
build/nodlclose.so: spec/support/nodlclose.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -Wall -Wextra -O2 -shared -fPIC -o $@ $<

asan: build/nodlclose.so ## every test under the address and undefined behaviour sanitizers
	@$(MAKE) $(QUICK) VARIANT=asan CC=gcc CORE=build/asan/multisocket/core.so core
	@$(MAKE) $(QUICK) VARIANT=asan-unit CC=gcc units
	@$(FILES) && $(call run_in,build/asan/) \
	SPEC_TOOL=asan UBSAN_OPTIONS=print_stacktrace=1 $(TALLY) $(call c_tests,asan-unit) "env LD_PRELOAD=$(shell \
	  gcc -print-file-name=libasan.so):$(CURDIR)/build/nodlclose.so $(SPECS)"

# Lua and the libraries are the system's: what they do among themselves is
# not looked at. Eight threads with a multi each (spec/support/threads.lua).
tsan: build/nodlclose.so ## eight threads, a multi in each, under the thread sanitizer
	@.ci/deps test
	@$(MAKE) $(QUICK) VARIANT=tsan CC=gcc CORE=build/tsan/multisocket/core.so core
	@$(FILES) && $(call run_in,build/tsan/) \
	TSAN_OPTIONS="ignore_noninstrumented_modules=1 exitcode=66 second_deadlock_stack=1" \
	$(TALLY) "env LD_PRELOAD=$(shell gcc -print-file-name=libtsan.so):$(CURDIR)/build/nodlclose.so \
	  $(LUA) spec/support/threads.lua"

# Finds new inputs for SECONDS each, keeps those that reach something new, and
# stops at the first that breaks an expectation. FUZZ_NAMES=h1 for one target.
SECONDS ?= 60
fuzz: ## fuzz every target of spec/fuzz for SECONDS (60)
	@.ci/deps fuzz
	@$(MAKE) $(QUICK) VARIANT=fuzz CC=clang fuzzers
	@cd build/fuzz && for n in $(FUZZ_NAMES); do \
	  corpus=../../spec/fuzz/corpus/$$n; mkdir -p $$n.new && echo "fuzz $$n" && \
	  ./fuzz_$$n -max_total_time=$(SECONDS) -print_final_stats=1 -close_fd_mask=1 \
	    $$n.new $$corpus >$$n.log 2>&1 || { tail -40 $$n.log; exit 1; }; \
	  grep -E "number_of_executed_units|^Done" $$n.log; \
	  ./fuzz_$$n -merge=1 $$corpus $$n.new >/dev/null 2>&1; \
	done

# The modules that the targets are there for. Less than LEAST % of the lines
# of one: a target stopped reaching it.
FUZZED := $(addprefix src/proto/,auth_digest auth_proof challenge coding_zlib cookie cookie_date \
             date decode h1 h1_request h2 h2_field h2_in h2_known h2_mem h2_out h2_prepared \
             h2_window header host idn jar jar_file jar_take netrc upload url userinfo wire) \
          $(addprefix src/net/,addr hosts)
LEAST  := 90
fuzz-coverage: ## fail when the corpora alone reach < 90 % of a fuzzed module's lines
	@$(MAKE) $(QUICK) VARIANT=coverage CC=gcc replays
	@find build/coverage -name '*.gcda' -delete
	@for n in $(FUZZ_NAMES); do build/coverage/replay_$$n spec/fuzz/corpus/$$n || exit 1; done
	@low=0; for f in $(FUZZED); do \
	  lines=$$(gcov -n build/coverage/$$f.gcda 2>/dev/null | \
	    sed -n "\#'$$f.c'#{n;s/Lines executed://p}"); \
	  test "$${lines%%.*}" -ge $(LEAST) 2>/dev/null && mark= || { low=1; mark="  < $(LEAST) %"; }; \
	  echo "  $$f.c $${lines:-not reached}$$mark"; \
	done; exit $$low

# SEED=n COUNT=n, or SECONDS=n for each, choose other changes of the corpora.
DIFF_ARGS = $(if $(SEED),SEED=$(SEED)) $(if $(COUNT),COUNT=$(COUNT)) \
            $(if $(filter file,$(origin SECONDS)),,SECONDS=$(SECONDS))
fuzz-diff: ## our parsers and Node's, over corpora and COUNT (20000) changes of them
	@$(MAKE) $(QUICK) VARIANT=unit outcomes
	@node spec/fuzz/h1_diff.js build/unit/h1_outcome $(DIFF_ARGS)
	@node spec/support/url_diff.js build/unit/url_outcome $(DIFF_ARGS)

# The cookie suite of the IETF's http-state working group, which is not here:
# SUITE is its folder tests/data (github.com/abarth/http-state). It is of 2011.
at = faketime '$(1)-01-01 00:00:00' $(LUA) spec/support/http_state.lua '$(SUITE)'
http-state: ## play the http-state cookie suite, SUITE=its tests/data, and by curl
	@test -r "$(SUITE)/parser.json" || { echo "no parser.json in SUITE=$(SUITE)" >&2; exit 1; }
	@.ci/deps test
	@$(MAKE) $(QUICK) core
	@$(FILES) && export TZ=UTC DONT_FAKE_MONOTONIC=1 && \
	  $(ENV) $(call at,2011) jar fetch curl && $(ENV) $(call at,2100) dates

VALGRIND := valgrind -q --leak-check=full --error-exitcode=99
valgrind: build/nodlclose.so build/tls_peer ## C tests and some fetches from Lua under valgrind
	@$(MAKE) $(QUICK) core
	@$(MAKE) $(QUICK) VARIANT=unit units
	@$(TALLY) $(call c_tests,unit,$(VALGRIND) )
	@$(ENV) LD_PRELOAD=$(CURDIR)/build/nodlclose.so $(VALGRIND) $(LUA) spec/support/smoke.lua
	@$(ENV) LD_PRELOAD=$(CURDIR)/build/nodlclose.so $(VALGRIND) $(LUA) spec/support/smoke_tls.lua

# Freed memory is overwritten, so that what is used too late is noticed.
MUTANT_ENV := MALLOC_PERTURB_=165 COMPILE='$(COMPILE)' LINK='$(CC) $(CFLAGS) $(LDFLAGS)' LIBS='$(LIBS)'
MUTANTS     = $(if $(N),$(N),$(shell $(LUA) .ci/mutants.lua list))
mutants: ## break each promise on purpose (N=24: one): does its spec notice?
	@.ci/deps test
	@$(MAKE) $(QUICK) VARIANT=mutant CORE=build/mutants/0/multisocket/core.so core units
	@$(FILES) && $(MAKE) -k $(QUICK) VARIANT=mutant $(MUTANTS:%=mutant-%) 2>&1 | \
	  { grep -v '^make' || true; }
	@$(LUA) .ci/mutants.lua report $(MUTANTS)

mutant-%: FORCE
	@$(MUTANT_ENV) $(LUA) .ci/mutants.lua run $*

# `make test` plays some of these; here an event that comes less than a hundred
# times is a failure. SEED=n SCHEDULES=1 plays one again.
MODEL_ENV := SCHEDULES=$(if $(SCHEDULES),$(SCHEDULES),10000) $(if $(SEED),SEED=$(SEED))
model: ## 10,000 random schedules for each way of driving, counted
	@$(MAKE) $(QUICK) VARIANT=unit units
	@$(FILES) && $(MODEL_ENV) build/unit/test_model
	@$(MODEL_ENV) build/unit/test_engine

bench instructions syscalls: all
	@$(FILES) && $(ENV) bench/$(subst bench,run,$@)
bench:        ## transfers per second, side by side with others
instructions: ## user instructions per transfer
syscalls:     ## system calls per transfer

install: install-lua install-c ## install to PREFIX (/usr/local), below DESTDIR

install-lua: ## only what Lua needs
	@test -e $(CORE) || { echo "nothing built yet: run make first" >&2; exit 1; }
	install -d $(DESTDIR)$(LIBDIR)/multisocket
	install -m 755 $(CORE) $(DESTDIR)$(LIBDIR)/multisocket/core.so
	for f in $(LUA_FILES:lua/%=%); do \
	  install -D -m 644 "lua/$$f" "$(DESTDIR)$(LUADIR)/$$f" || exit 1; \
	done

install-c: ## only what C needs: static and shared library, header, pkg-config file
	@test -e $(SHARED_LIB) || { echo "nothing built yet: run make first" >&2; exit 1; }
	install -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(CLIBDIR)/pkgconfig
	install -m 644 $(wildcard src/multisocket*.h) $(DESTDIR)$(INCLUDEDIR)/
	objcopy --wildcard --remove-section='.gnu.lto_*' $(STATIC_LIB) \
	  $(DESTDIR)$(CLIBDIR)/libmultisocket.a # what is left any compiler links
	chmod 644 $(DESTDIR)$(CLIBDIR)/libmultisocket.a
	install -m 755 $(SHARED_LIB) $(DESTDIR)$(CLIBDIR)/
	ln -sf $(notdir $(SHARED_LIB)) $(DESTDIR)$(CLIBDIR)/libmultisocket.so.$(SO_MAJOR)
	ln -sf libmultisocket.so.$(SO_MAJOR) $(DESTDIR)$(CLIBDIR)/libmultisocket.so
	{ echo 'prefix=$(PREFIX)'; \
	  echo 'libdir=$(CLIBDIR)'; \
	  echo 'includedir=$(INCLUDEDIR)'; \
	  echo 'Name: multisocket'; \
	  echo 'Description: HTTP transfers on the event loop of the application'; \
	  echo 'Version: $(VERSION)'; \
	  echo 'Libs: -L$${libdir} -lmultisocket'; \
	  echo 'Libs.private: $(LIBS)'; \
	  echo 'Cflags: -I$${includedir}'; \
	} >$(DESTDIR)$(CLIBDIR)/pkgconfig/multisocket.pc

rock: ## what the rockspec calls: build with LuaRocks' settings, install nothing
	@$(MAKE) $(QUICK) VARIANT=rock CORE=build/rock/multisocket/core.so core

compile_commands.json: FORCE ## for editors (clangd)
	@$(LUA) .ci/compile_commands.lua '$(COMPILE) -Ispec/unit' $(SOURCES) $(UNIT_SRC) > $@

print-libs: # what a program with the engine in it is linked with; for bench
	@echo $(LIBS)

clean: ## remove everything built
	rm -rf build multisocket compile_commands.json

help: ## this list
	@awk -F ':.*## *' '/^[a-z_.-]+:.*## / { printf "make %-22s %s\n", $$1, $$2 }' Makefile

# ---- one variant -----------------------------------------------------------

core: $(CORE)
libs: $(STATIC_LIB) $(SHARED_LIB)
replays: $(REPLAYS)
fuzzers: $(FUZZERS)
outcomes: $(OUTCOMES)
units: $(UNITS) replays
objects: $(OBJECTS) $(UNIT_SRC:%.c=$(BUILD)/%.o) \
         $(patsubst %.c,$(BUILD)/%.o,$(wildcard spec/fuzz/*.c) $(TLS_PEER))

$(CORE): $(OBJECTS)
	@mkdir -p $(@D)
	@echo "link $@"
	$(Q)$(CC) $(LIBFLAG) $(CFLAGS) $(LDFLAGS) $(FLAGS.$(VARIANT)) -o $@ $^ $(LIBS)

# Everything but the binding, so that the C tests need no Lua.
$(BUILD)/engine.a: $(filter-out $(BUILD)/src/lua/%,$(OBJECTS))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(SHARED_LIB): $(filter-out $(BUILD)/src/lua/%,$(OBJECTS))
	@echo "link $@"
	$(Q)$(CC) -shared -Wl,-soname,libmultisocket.so.$(SO_MAJOR) $(CFLAGS) $(LDFLAGS) \
	  $(FLAGS.$(VARIANT)) -o $@ $^ $(LIBS)

$(UNITS): $(BUILD)/%: $(BUILD)/spec/unit/%.o $(BUILD)/spec/unit/unit.o $(BUILD)/engine.a
	@echo "link $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(FLAGS.$(VARIANT)) -o $@ $^ $(LIBS) -pthread

$(REPLAYS): $(BUILD)/replay_%: $(BUILD)/spec/fuzz/fuzz_%.o $(BUILD)/spec/fuzz/replay.o \
              $(BUILD)/engine.a
	@echo "link $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(FLAGS.$(VARIANT)) -o $@ $^ $(LIBS)

$(OUTCOMES): $(BUILD)/%: $(BUILD)/spec/fuzz/%.o $(BUILD)/engine.a
	@echo "link $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(FLAGS.$(VARIANT)) -o $@ $^ $(LIBS)

$(FUZZERS): $(BUILD)/fuzz_%: $(BUILD)/spec/fuzz/fuzz_%.o $(BUILD)/engine.a
	@echo "link $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(FLAGS.$(VARIANT)) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c $(BUILD)/command
	@mkdir -p $(@D)
	@echo "$(CC) $< ($(VARIANT))"
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# Objects of another compiler or with other flags are out of date.
$(BUILD)/command: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE)' | cmp -s - $@ || echo '$(COMPILE)' > $@

.SECONDARY:
-include $(wildcard $(BUILD)/src/*/*.d $(BUILD)/spec/*/*.d)
