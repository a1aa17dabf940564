# A thin front: Meson builds (meson.build), this names what people do.
#
#   make            build/firesteel, and the same program as build/spark-submit
#   make demo       a real PySpark job on an embedded cluster; SPARK=3.5 for Spark 3.5
#   make test       everything; TESTS='local store' runs only what matches
#   make test-cluster   what runs against a real Kubernetes, which it builds first (minutes, once); the part with a kubelet needs root
#   make test-callers    other people's programs that call spark-submit: Airflow, which it installs first (700 MB, once)
#   make bench      what the documents claim, measured; ROWS='pi start' for some rows
#   make fuzz       each fuzz target for FUZZ_SECONDS (default 60); needs clang
#   make install    into PREFIX (default /usr/local), DESTDIR respected
#   make clean

BUILD ?= build
PREFIX ?= /usr/local
SPARK ?= 4.1
FUZZ_SECONDS ?= 60
# Of the tests against a real Kubernetes: off, cached (its control plane, when it was built before), all (built if need be; as root a node too).
CLUSTER ?= cached
# Of the tests with other people's callers: cached (when they were installed before), all (installed if need be).
CALLERS ?= cached
JOBS ?= $(shell nproc)

.PHONY: all demo test test-cluster test-callers bench fuzz install uninstall clean
.DEFAULT_GOAL := all

# What the system lacks is looked for once, and again when tools/setup changes.
third_party/.setup: tools/setup VERSION
	@tools/setup build
	@touch $@

# Once: ninja makes it anew by itself when a meson.build is newer.
$(BUILD)/build.ninja: | third_party/.setup
	@$$(tools/setup meson) setup $(BUILD) >/dev/null || $$(tools/setup meson) setup $(BUILD)

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) firesteel
	@ln -sf firesteel $(BUILD)/spark-submit

demo: all
	@tools/setup run $(SPARK)
	@tools/demo --firesteel $(BUILD)/firesteel --spark $(SPARK)

test: all
	@tools/setup test $(if $(filter all,$(CLUSTER)),cluster)
	@$(if $(filter all,$(CALLERS)),tools/setup callers,true)
	@tools/run-tests --build $(BUILD) --jobs 2 --cluster $(CLUSTER) $(TESTS)

test-cluster: all
	@tools/setup test cluster
	@tools/run-tests --build $(BUILD) --jobs 2 --only cluster --cluster all $(TESTS)

test-callers: all
	@tools/setup run 4.1
	@tools/setup callers
	@tools/run-tests --build $(BUILD) --jobs 1 --only callers $(TESTS)

bench: all
	@tools/setup run 4.1
	@tools/bench --firesteel $(BUILD)/firesteel $(ROWS)

fuzz: third_party/.setup
	@tools/run-fuzz $(FUZZ_SECONDS)

install: all
	install -D -m 755 $(BUILD)/firesteel $(DESTDIR)$(PREFIX)/bin/firesteel
	ln -sf firesteel $(DESTDIR)$(PREFIX)/bin/firesteel-spark-submit
	@# A spark-submit of somebody else's (pip puts one there) is not replaced.
	@cd $(DESTDIR)$(PREFIX)/bin && if [ ! -e spark-submit ] || [ "$$(readlink spark-submit)" = firesteel ]; then ln -sf firesteel spark-submit; \
	else echo "$(PREFIX)/bin/spark-submit is left alone: it is another program; firesteel-spark-submit is the same by a name of its own"; fi
	$(BUILD)/firesteel man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
	        $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(BUILD)/firesteel completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/firesteel
	$(BUILD)/firesteel completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_firesteel
	$(BUILD)/firesteel completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/firesteel.fish

uninstall:
	@cd $(DESTDIR)$(PREFIX)/bin && if [ "$$(readlink spark-submit)" = firesteel ]; then rm spark-submit; fi
	rm -f $(DESTDIR)$(PREFIX)/bin/firesteel $(DESTDIR)$(PREFIX)/bin/firesteel-spark-submit $(DESTDIR)$(PREFIX)/share/man/man1/firesteel*.1 \
	        $(DESTDIR)$(PREFIX)/share/bash-completion/completions/firesteel $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_firesteel \
	        $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/firesteel.fish

clean:
	rm -rf $(BUILD) build-*
