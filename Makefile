# make run, make test: everything on a fresh machine. make help: all targets.

CXX      ?= g++
ARGS     ?=
# What make run compares with: the same model, regularised.
LOCATER  ?= --regulariser locater --strength 1e-4 --hold 1e-3 --mean target --target 16
JOBS     ?= $(shell nproc 2>/dev/null || echo 2)

COMMA    := ,

# ---- Compiler ----------------------------------------------------------------------------------------------
# Strict floating point: no -ffast-math. -fopenmp-simd lets single, marked reductions be vectorised;
# -fno-math-errno and -fno-trapping-math give up only errno and floating-point traps, which nothing here uses.
STRICT   := -fopenmp-simd -fno-math-errno -fno-trapping-math
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(if $(WERROR),-Werror)
ifneq ($(findstring clang,$(CXX)),)
WARNINGS += -Wno-pass-failed -Wno-sign-conversion
endif
NATIVE   := $(if $(PORTABLE),,-march=native $(if $(filter x86_64,$(shell uname -m)),-mprefer-vector-width=512))
OPTIMISE := $(if $(SANITIZE),-O1 -g -fsanitize=address$(COMMA)undefined -fno-sanitize-recover=all,-O3 $(NATIVE))
# Some builds of OpenBLAS have LAPACKE in them, without a lapacke.pc.
PACKAGES := openblas $(shell pkg-config --exists lapacke 2>/dev/null && echo lapacke)
BLAS     := $(subst -I,-isystem ,$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null))
LIBS     := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lpthread
CXXFLAGS += -std=c++20 -I. -MMD -MP
VERSION  := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
# A fingerprint of the sources that a result comes from, committed or not: not of what draws and tabulates.
ROOMS    := $(sort $(dir $(shell find engine models data train -name '*.cpp')))
COMPUTES := $(sort $(filter-out $(addprefix train/,sample.% eval.% localize.% experiment.% write.% explain.% compare.% first.% play.%),\
            $(wildcard $(foreach room,$(filter-out train/%,$(ROOMS)) train/ train/options/ train/files/,$(room)*.h $(room)*.cpp))))
SOURCES  := $(shell cat $(COMPUTES) | { sha256sum || shasum -a 256 || cksum; } 2>/dev/null | cut -c1-12)

# ---- Files -------------------------------------------------------------------------------------------------
BUILD    := build/$(notdir $(firstword $(CXX)))$(if $(PORTABLE),-portable)$(if $(SANITIZE),-sanitize)
# A program is a file of train/ that has a main(): one of your own, train/play.cpp, becomes build/bin/play.
PROGRAMS := $(patsubst train/%.cpp,%,$(shell grep -l '^int main' train/*.cpp))
LIBRARY  := $(filter-out $(PROGRAMS:%=train/%.cpp),$(wildcard $(ROOMS:%=%*.cpp)))
# The same sources are compiled for float32 (the programs and their tests) and for double (where gradients are
# checked: tests/gradients/, and the golden files, which both must reproduce).
# The README's examples stand among the tests; who follows it and saves one in models/ has it from there.
taken     = $(foreach source,$(1),$(if $(wildcard models/$(notdir $(source))),,$(source)))
TESTS    := $(call taken,$(filter-out tests/gradients/% tests/bench/% tests/library/%,$(wildcard tests/*.cpp tests/*/*.cpp)))
BENCHES  := steps ops growth precision probes
GRADIENT_TESTS := $(call taken,$(wildcard tests/gradients/*.cpp)) tests/models/golden_test.cpp tests/engine/large_logits_test.cpp tests/mean_attention.cpp tests/main.cpp
DOUBLE_LIBRARY := $(filter-out data/% train/%,$(LIBRARY)) train/files/safetensors.cpp train/files/json.cpp train/files/files.cpp train/presets.cpp
float     = $(patsubst %.cpp,$(BUILD)/float/%.o,$(1))
double    = $(patsubst %.cpp,$(BUILD)/double/%.o,$(1))

.DEFAULT_GOAL := all
.PHONY: all programs tests lib run test run-tests size figures bench paper paper-quick check help setup setup-tests format clean FORCE

all: setup
	@$(MAKE) --no-print-directory -j$(JOBS) programs

programs: $(PROGRAMS:%=$(BUILD)/%)
	@$(if $(SANITIZE),,ln -sfn $(notdir $(BUILD)) build/bin)
tests: programs $(BUILD)/test-float $(BUILD)/test-double $(BUILD)/uses-library

$(PROGRAMS:%=$(BUILD)/%): $(BUILD)/%: $(call float,train/%.cpp) $(call float,$(LIBRARY))
	$(CXX) $(OPTIMISE) $^ -o $@ $(LIBS)
$(BUILD)/test-float: $(call float,$(TESTS) $(LIBRARY))
	$(CXX) $(OPTIMISE) $^ -o $@ $(CATCH_LIBS) $(LIBS)
$(BUILD)/test-double: $(call double,$(GRADIENT_TESTS) $(DOUBLE_LIBRARY))
	$(CXX) $(OPTIMISE) $^ -o $@ $(CATCH_LIBS) $(LIBS)
$(BUILD)/bench-%: $(call float,tests/bench/%.cpp tests/bench/common.cpp $(LIBRARY))
	$(CXX) $(OPTIMISE) $^ -o $@ $(LIBS)
# One object in the archive, and so all of it or nothing: a linker would leave out the files that only register a
# sibling. Whoever looks into a registry needs it (engine/registry.h).
$(BUILD)/libeigenformer.a: $(call float,$(LIBRARY))
	$(CXX) -r -nostdlib $^ -o $(BUILD)/eigenformer.o
	@rm -f $@
	$(AR) rcs $@ $(BUILD)/eigenformer.o
# A program of somebody who uses the library, linked as he would.
$(BUILD)/uses-library: $(call float,tests/library/list.cpp) $(BUILD)/libeigenformer.a
	$(CXX) $(OPTIMISE) $< -L$(BUILD) -leigenformer -o $@ $(LIBS)
# Catch2 version 3 is a library; version 2 is a header, compiled in tests/main.cpp.
CATCH_LIBS = $(shell pkg-config --libs catch2-with-main 2>/dev/null)

$(BUILD)/float/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(OPTIMISE) $(STRICT) $(WARNINGS) $(BLAS) -c $< -o $@
$(BUILD)/double/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(OPTIMISE) $(STRICT) $(WARNINGS) $(BLAS) -DEF_DOUBLE -c $< -o $@
# Tests are compiled once and run for seconds: a low -O halves the wait.
$(BUILD)/float/tests/%.o $(BUILD)/double/tests/%.o: CXXFLAGS += -DEF_PROGRAMS='"$(BUILD)"'
$(BUILD)/float/tests/%.o $(BUILD)/double/tests/%.o: OPTIMISE := $(if $(SANITIZE),$(OPTIMISE),-O1 $(NATIVE))

# Version and fingerprint of the code stand in every run's config.json.
$(BUILD)/float/train/files/build.o $(BUILD)/double/train/files/build.o: CXXFLAGS += -DEF_VERSION='"$(VERSION)"' -DEF_SOURCES='"$(SOURCES)"' \
  -DEF_BUILD='"$(if $(SANITIZE),sanitize,$(if $(PORTABLE),portable,native))"'
$(BUILD)/float/train/files/build.o $(BUILD)/double/train/files/build.o: $(BUILD)/version
$(BUILD)/version: FORCE
	@mkdir -p $(@D); echo '$(VERSION) $(SOURCES)' | cmp -s - $@ || echo '$(VERSION) $(SOURCES)' > $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- Targets -----------------------------------------------------------------------------------------------
setup:
	@.ci/setup
setup-tests:
	@.ci/setup tests

lib: setup ## build/libeigenformer.a, to link programs of your own (train/README.md)
	@$(MAKE) --no-print-directory -j$(JOBS) -s $(BUILD)/libeigenformer.a
	@ln -sfn $(notdir $(BUILD))/libeigenformer.a build/libeigenformer.a
	@echo 'g++ -std=c++20 -I. program.cpp build/libeigenformer.a $(LIBS)'

run: setup ## train a tiny transformer on the built-in language, without and with LocAteR (ARGS='--steps 500' ...)
	@test -x $(BUILD)/train || echo 'Building (half a minute to three) ...'
	@$(MAKE) --no-print-directory -j$(JOBS) -s programs
	@$(BUILD)/train --against '$(LOCATER)' $(ARGS)

test: setup-tests ## build and run all tests
	@test -x $(BUILD)/test-float || echo 'Building (two to six minutes) ...'
	@$(MAKE) --no-print-directory -j$(JOBS) -s tests
	@$(MAKE) --no-print-directory -s run-tests

run-tests:
	@$(BUILD)/test-double
	@$(BUILD)/test-float

# Results that are there are not made again: those of train/paper/results come with the sources. With
# RESULTS=runs/paper/results all is run anew; WITH='--precision float32' then gives all arms further options,
# and the comparison of precisions, which needs AMX or AVX512-BF16, is left out.
RESULTS  ?=
WITH     ?=
PAPER    := wikitext-4096-pilot wikitext-4096 wikitext-4096-strength wikitext-4096-weak wikitext-4096-start wikitext-4096-bound pilot $(if $(WITH),,precision) screen decide untied ablate beyond-story beyond-ablate beyond-shakespeare beyond-deep

paper: setup ## the paper's claims, each tried, as runs/paper/report.html; runs what has no result yet
	@$(MAKE) --no-print-directory -j$(JOBS) -s programs
	@data/fetch wikitext-2 || echo 'Without WikiText-2, only results that are there will be shown.'
	@data/fetch tinyshakespeare || echo 'Without Tiny Shakespeare, only results that are there will be shown.'
	@$(BUILD)/localize --out runs/paper/localize
	@$(BUILD)/experiment --possible --keep-old $(PAPER:%=train/paper/%.json) $(if $(RESULTS),--results $(RESULTS) --runs $(RESULTS:%/=%)-runs) $(if $(WITH),--with '$(WITH)') \
	  --title 'The paper, claim by claim' --theory runs/paper/localize/localize.json \
	  --page runs/paper/report.html --markdown runs/paper/summary.md --csv runs/paper/summary.csv --figures runs/paper/figures

paper-quick: setup ## the same within minutes, at budgets that decide little: to see how it works
	@$(MAKE) --no-print-directory -j$(JOBS) -s programs
	@$(BUILD)/localize --out runs/paper-quick/localize
	@$(BUILD)/experiment train/paper/quick.json $(if $(wildcard data/corpora/wikitext-2/train.txt),train/paper/quick-wikitext.json) \
	  --results runs/paper-quick/results --title 'The paper, in minutes: not its result' \
	  --theory runs/paper-quick/localize/localize.json --page runs/paper-quick/report.html

size: ## lines of code by room
	@for room in $(ROOMS); do cat $$room*.h $$room*.cpp 2>/dev/null | wc -l | sed "s|$$|  $$room|"; done
	@cat $$(git ls-files 'engine/*.h' 'engine/*.cpp' 'models/*.h' 'models/*.cpp' 'data/*.h' 'data/*.cpp' 'train/*.h' 'train/*.cpp') | wc -l | sed 's|$$|  in all|'
	@cat $$(git ls-files 'tests/*.h' 'tests/*.cpp') | wc -l | sed 's|$$|  tests/|'

figures: setup-tests ## draw the pages' figures anew: engine/step.svg, engine/rooms.svg
	@$(MAKE) --no-print-directory -j$(JOBS) -s tests
	@EIGENFORMER_DRAW=1 $(BUILD)/test-float '[figures]'

bench: setup ## times: training steps beside PyTorch, ops, growth, probes (PYTHON=python3: one with PyTorch)
	@$(MAKE) --no-print-directory -j$(JOBS) -s $(BENCHES:%=$(BUILD)/bench-%)
	@for bench in $(BENCHES); do $(BUILD)/bench-$$bench || exit; done

check: setup-tests ## as test: g++ and clang++, warnings as errors; address and undefined-behaviour sanitisers
	@.ci/check

format: ## lay out all sources by .clang-format
	clang-format -i $$(git ls-files '*.cpp' '*.h')

clean: ## remove all that was built
	rm -rf build

help: ## this list
	@echo 'make             build the programs into build/bin/: $(PROGRAMS)'
	@awk -F ' ## ' '/^[a-z-]+:.* ## /{split($$1, name, ":"); printf "make %-11s %s\n", name[1], $$2}' $(MAKEFILE_LIST)
	@echo 'Variables: CXX=clang++ (compiler), PORTABLE=1 (a build that any processor of this kind runs),'
	@echo '           SANITIZE=1 (address and undefined-behaviour sanitisers), WERROR=1 (warnings are errors)'
