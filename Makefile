# Everything that people and CI do here. "make" alone explains itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PLUGIN  := vault-plugin-secrets-pki-external-ca
# The version that the plugin reports to Vault, which must be a semantic version with a leading v.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || echo v0.0.0-dev)
LDFLAGS := -s -w -X $(PLUGIN).Version=$(VERSION)
# What dist builds for: OS/architecture.
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
# How long each fuzzer runs under "make fuzz".
FUZZTIME ?= 30s
# How long soak runs.
SOAK ?= 1h
# Programs that lint runs, at the versions that tools/go.mod holds.
TOOL := go tool -modfile=$(CURDIR)/tools/go.mod
# The packages of the test bed without cmd/vault: four lines that would have all of Vault analysed.
TESTBED_PACKAGES = $$(go list ./... | grep -v '/cmd/vault$$')

# The acceptance tests of the main jobs.
RELEASE_TESTS := ^Test(IdentifierWorkflow|CSRWorkflow|DNS|IssueAtOnce|Relay.*|OrdersOutliveInterruptions|OpenAPI|.*Policy)$$

.PHONY: help
help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show the whole job in one command: a Vault, an ACME CA, an account, a role, certificates, a revocation, DNS.
	@[ "$$(id -u)" != 0 ] || scripts/servers bind9 || true # without BIND it shows all but DNS, and says so
	@cd testbed && go run ./cmd/demo

.PHONY: dev
dev: ## Start the same parts, print how to reach them, and leave them running until Ctrl-C.
	@[ "$$(id -u)" != 0 ] || scripts/servers bind9 || true
	@cd testbed && go run ./cmd/dev

.PHONY: build
build: ## Build the plugin for this machine, as a static binary, into bin/.
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/$(PLUGIN) ./cmd/$(PLUGIN)

.PHONY: dist
dist: ## Build the plugin for every platform into dist/, with SHA256SUMS.
	rm -rf dist && mkdir dist
	@set -e; for platform in $(PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/}; suffix=; [ $$os = windows ] && suffix=.exe; \
		echo "building $$os/$$arch"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags '$(LDFLAGS)' \
			-o dist/$(PLUGIN)_$(VERSION)_$${os}_$$arch$$suffix ./cmd/$(PLUGIN); \
	done
	cd dist && { sha256sum $(PLUGIN)_* || shasum -a 256 $(PLUGIN)_*; } > SHA256SUMS

.PHONY: test
test: lint test-unit fuzz-short test-acceptance test-release ## Run every check and every test there is.

.PHONY: test-unit
test-unit: name-servers ## Run the tests of the plugin's own packages under the race detector.
	go test -race ./...

# -count=1: what these tests drive is built by the tests themselves, so the go command cannot know that it changed.
# -parallel: they wait for servers and for time most of the while.
.PHONY: test-acceptance
test-acceptance: name-servers web-servers testbed ## Run the tests that drive a real Vault, a real CA and the real command line, with the race detector inside the plugin.
	cd testbed && TESTBED_RACE=1 go test -count=1 -timeout 20m -parallel 4 $(TESTBED_PACKAGES)
	cd testbed/bench && go test ./...

# What is released is another binary than the one that looks for races.
.PHONY: test-release
test-release: name-servers web-servers testbed ## Run the main jobs among them once more with the plugin as it is released.
	cd testbed && go test -count=1 -timeout 20m -parallel 4 -run '$(RELEASE_TESTS)' ./acceptance

.PHONY: test-short
test-short: name-servers ## Run the unit tests only, without the race detector.
	go test -short ./...

.PHONY: lint
lint: ## Check format, vet and static analysis, of the plugin and of the test bed.
	@unformatted=$$($(TOOL) gofumpt -l .) && [ -z "$$unformatted" ] || \
		{ echo "not formatted, run make fmt: $$unformatted" >&2; exit 1; }
	go vet ./...
	go vet -tags profile ./cmd/...
	$(TOOL) staticcheck ./...
	cd testbed && go vet $(TESTBED_PACKAGES)
	cd testbed && $(TOOL) staticcheck $(TESTBED_PACKAGES)
	cd testbed/bench && go vet ./...
	cd testbed/bench && $(TOOL) staticcheck ./...

.PHONY: fmt
fmt: ## Format all code.
	$(TOOL) gofumpt -l -w .

.PHONY: fuzz
fuzz: ## Run each fuzzer for FUZZTIME (30s).
	@set -e; for package in $$(go list ./...); do \
		for fuzzer in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$fuzzer"; go test -run '^$$' -fuzz "^$$fuzzer\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: fuzz-short
fuzz-short: ## Run each fuzzer for a moment, as a part of make test.
	@$(MAKE) --no-print-directory fuzz FUZZTIME=1s

.PHONY: bench
bench: testbed ## Measure the plugin beside its yardsticks; BENCH=-write makes docs/benchmarks.md of it.
	cd testbed/bench && go test ./... && go run . $(BENCH)

.PHONY: soak
soak: testbed ## Issue certificates for SOAK (1h) with faults all the while; the plugin must hold no more at the end.
	cd testbed && go run ./cmd/soak -for $(SOAK)

.PHONY: renewal-plot
renewal-plot: ## Simulate a year of 10,000 certificates, and write what it shows into docs/renewal.md.
	go test -count=1 -run '^TestYear$$' . -year.certificates 10000 -year.plot

# The tests of DNS need root, too: name servers are looked for at port 53 (of addresses in 127.0.0.0/8).
.PHONY: name-servers
name-servers: ## Install BIND and PowerDNS for the tests if they are missing, as root on Debian.
	@scripts/servers bind9 pdns-server pdns-backend-lmdb

.PHONY: web-servers
web-servers: ## Install nginx, HAProxy, jq and systemd for the acceptance tests if they are missing, as root on Debian.
	@scripts/servers nginx-light haproxy jq systemd

.PHONY: testbed
testbed: ## Build what the acceptance tests run, into .testbed/bin.
	@cd testbed && go run ./cmd/testbed build

.PHONY: clean
clean: ## Remove everything that was built.
	rm -rf bin dist .testbed
