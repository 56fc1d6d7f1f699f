SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

# Comma-separated bootstrap servers. Without them the demo starts a broker in
# its own process.
BROKERS ?=
# Format of the demo's records: avro, json, jsonschema or protobuf.
FORMAT ?= avro
# all shows every action on one value each, instead of the demo's main job.
ACTIONS ?=
# 1 leaves the sidecar of the demo running, until Ctrl-C.
KEEP ?=
# How long the fuzz targets of records and envelopes run; others run a sixth.
FUZZTIME ?= 30s

GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(CURDIR)/.bin/golangci-lint-$(GOLANGCI_VERSION)
export GOLANGCI_LINT_CACHE := $(CURDIR)/.bin/cache

CONFORMANCE := internal/conformance
# These are never released: nobody imports them, so they skip the race pass.
UNRELEASED := $(CONFORMANCE) internal/formats examples benchmarks tools

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nVariables: FORMAT=avro|json|jsonschema|protobuf ACTIONS=all KEEP=1\n           BROKERS=host:port,... (demo)   FUZZTIME=30s (fuzz)\n'

.PHONY: demo
demo: ## Protect records in a producer, then by the sidecar; needs Go alone
	go run ./examples/demo --format=$(FORMAT) $(if $(ACTIONS),--actions=$(ACTIONS)) $(if $(BROKERS),--brokers=$(BROKERS))
ifeq ($(ACTIONS)$(BROKERS),)
	@mkdir -p .bin
	go build -o .bin/fieldveil ./sidecar/cmd/fieldveil
	.bin/fieldveil demo$(if $(KEEP), --keep)
endif

##@ Check

.PHONY: test
test: ## Test every module: alone, with -race and checked builds, in the workspace
	scripts/each-module env GOWORK=off go vet ./...
	scripts/each-module $(UNRELEASED:%=-x %) go test -race ./...
	scripts/each-module -x $(CONFORMANCE) go test ./...

.PHONY: fips
fips: ## Test with the certified FIPS 140-3 module and enforcement on
	scripts/fips

.PHONY: fuzz
fuzz: ## Run fuzz targets: FUZZTIME for what reads records, a sixth for others
	scripts/fuzz $(FUZZTIME)

.PHONY: conformance
conformance: ## Test against vectors and real engines, and say what was skipped
	cd $(CONFORMANCE) && go test -json -count=1 -timeout 15m ./... | (cd $(CURDIR)/tools && GOWORK=off go run ./testsum)

.PHONY: bench
bench: ## Measure every promised figure beside floors and rivals; writes a report
	go run ./benchmarks -out .bin/bench

.PHONY: bench-check
bench-check: ## Compare ratios to the floor with the last committed ones
	go run ./benchmarks -only library -check benchmarks/baseline.json

.PHONY: lint
lint: lint-fmt lint-modules lint-tidy lint-proto lint-golangci ## Check format, modules, proto files and golangci-lint, which vets

.PHONY: lint-fmt
lint-fmt:
	@echo "== gofmt"
	@files=$$(find . -name '.?*' -prune -o -name '*.go' -print0 | xargs -0 -r gofmt -l); \
	if [[ -n $$files ]]; then printf 'not formatted, run make fmt:\n%s\n' "$$files" >&2; exit 1; fi

.PHONY: lint-modules
lint-modules:
	@echo "== go lines and dependencies of the root"
	@scripts/check-modules

.PHONY: lint-tidy
lint-tidy:
	@scripts/each-module env GOWORK=off go mod tidy -diff

.PHONY: lint-proto
lint-proto:
	@echo "== proto files of sidecar/api"
	@scripts/buf lint
	@scripts/buf breaking

.PHONY: lint-golangci
lint-golangci: $(GOLANGCI)
	@echo "== golangci-lint, all modules at once: what they share is looked at once"
	@patterns=(); for module in $$(scripts/modules); do \
	  scripts/in-workspace "$$module" || { echo "module $$module is not in go.work" >&2; exit 1; }; \
	  patterns+=("./$$module/..."); \
	done; \
	$(GOLANGCI) run --timeout 30m "$${patterns[@]}"

# The version is in the file name, so another version is installed by itself.
# It is no tool line of a go.mod: its requirements would become ours.
$(GOLANGCI):
	@mkdir -p $(@D)
	GOBIN=$(@D) GOWORK=off GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(@D)/golangci-lint $@

##@ Change

.PHONY: fmt
fmt: ## Format all Go code
	find . -name '.?*' -prune -o -name '*.go' -print0 | xargs -0 -r gofmt -l -w

.PHONY: generate
generate: ## Run go generate in every module
	scripts/each-module go generate ./...

.PHONY: tidy
tidy: ## Tidy the go.mod of every module
	scripts/each-module env GOWORK=off go mod tidy

.PHONY: clean
clean: ## Remove installed tools and the output of runs
	rm -rf .bin .ci/log .ci/tmp
