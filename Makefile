# kindlab. `make` alone prints this list.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-repeat test build packages binary agent unit e2e repeat race lint vuln bench conformance clean fmt schema catalogue verify

# Tools are pinned here and built into .bin, checked against the checksum database.
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.14.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# What a grade depends on: a lab that was proved counts as proved as long as this stays. Other sources may change.
GRADER = $(shell go run ./internal/grader/hash)
LDFLAGS = -s -w -X main.version=$(VERSION) -X main.grader=$(GRADER)
export CGO_ENABLED := 0

help: ## Print this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: build ## From nothing to a graded lab on a real cluster of three nodes
	@bash internal/cli/demo.sh

demo-repeat: build ## The demo ROUNDS times (30), the cluster removed in between: each has to pass
	@ROUNDS=$(or $(ROUNDS),30) bash internal/cli/demo-repeat.sh

test: build ## All tests: unit, transcripts, and every lab on a real cluster
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory e2e

build: packages binary ## Build bin/kindlab

packages:
	@bash internal/engine/packages.sh

# The go command knows best what is stale (make does not see a lab's file that was removed).
binary: agent
	@go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kindlab ./cmd/kindlab

# The agent runs inside nodes, which are Linux wherever kindlab itself runs.
agent:
	@GOOS=linux go build -trimpath -ldflags '-s -w' -o internal/probe/agent/kindlab-agent ./cmd/kindlab-agent

unit: agent ## Unit tests and command-line transcripts; no cluster
	go test ./...

race: agent ## Unit tests under the race detector
	CGO_ENABLED=1 go test -race ./...

e2e: build ## Tests on a real cluster (KINDLAB_E2E_CLUSTER names one to reuse)
	@bash labs/e2e.sh

repeat: build ## The right answers of all labs, or of LABS, ROUNDS times (20): no verdict may be wrong
	@KINDLAB_E2E_ROUNDS=$(or $(ROUNDS),20) KINDLAB_E2E_LABS='$(LABS)' bash labs/e2e.sh repeat

lint: .bin/golangci-lint ## Style, layering, mistakes
	@test -z "$$(gofmt -l cmd internal labs manifests)" || { gofmt -l cmd internal labs manifests; exit 1; }
	go vet -tags e2e,repeat ./...
	.bin/golangci-lint run ./...

vuln: ## Known vulnerabilities in what the binary calls
	GOBIN=$(CURDIR)/.bin go install $(GOVULNCHECK)
	.bin/govulncheck ./...

.bin/golangci-lint: Makefile
	GOBIN=$(CURDIR)/.bin go install $(GOLANGCI)
	@touch $@

bench: build ## Print the table of speed claims, measured side by side
	go test -tags bench -count=1 -timeout 60m -run '^TestBench$$' -v ./internal/bench

conformance: build ## Run Kubernetes' own end-to-end suite against a cluster of the built image
	@bash manifests/node/conformance.sh

verify: build ## Prove every lab on a real cluster: CLUSTER=name, ARGS="--no-cache services/clusterip"
	bin/kindlab verify $(if $(CLUSTER),--name $(CLUSTER)) $(ARGS)

schema: agent ## Write labs/schema.json anew, by which editors complete lab.yaml
	go test ./internal/reference -count=1 -run '^TestTheSchemaFileIsFresh$$' -update

catalogue: agent ## Write labs/README.md anew: the author's guide and the table of all labs
	go test ./internal/catalogue -count=1 -run '^TestThePageIsFresh$$' -update

fmt: ## Format the code
	gofmt -w cmd internal labs manifests

clean: ## Remove what was built here
	rm -rf bin .bin internal/probe/agent/kindlab-agent
