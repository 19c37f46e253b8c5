.DEFAULT_GOAL := help
GO ?= go
FUZZTIME ?= 20s

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/h2gw, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/h2gw ./cmd/h2gw

check: fmt-check lint test ## what a change needs before review

test: ## every test (end-to-end parts say which tool is absent)
	$(GO) test ./...

race: ## every test under the race detector
	$(GO) test -race ./...

identities: ## a million requests each on shared connections to nginx and a hostile origin (some minutes)
	H2GW_E2E=require H2GW_IDENTITIES=1000000 $(GO) test -count=1 -timeout 30m -run '^TestEveryResponse' -v ./internal/failure

e2e: ## end-to-end tests; an absent tool is a failure
	H2GW_E2E=require $(GO) test -count=1 ./internal/e2e/...

conformance: ## h2spec over TLS and cleartext, normal and strict
	$(GO) test -count=1 -run H2spec -v ./h2session

fuzz-short: ## each fuzz target for FUZZTIME (20s)
	./.ci/fuzz $(FUZZTIME)

compare: ## h2gw beside the peers that are installed, under two minutes (bench/README.md)
	$(GO) run ./bench -quick

curves: ## cost by number of streams, connections and processors
	$(GO) run ./bench -scale

soak: ## ten minutes of everything at once: does anything grow?
	$(GO) run ./bench -soak 10m

pgo: ## cmd/h2gw/default.pgo from the benchmark's workloads; go build finds it there
	$(GO) run ./bench -pgo cmd/h2gw/default.pgo

scenarios: ## the hostile and odd clients of testdata/scenarios
	$(GO) test -count=1 ./internal/scenario ./internal/hostile

bench: ## Go benchmarks with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./vconn ./internal/h1 ./h2session ./httpsm ./httpsm/origin ./internal/accesslog ./internal/report ./internal/gateway

fmt: ## format the tree
	gofmt -w $$(git ls-files '*.go')

fmt-check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt would change: $$out"; exit 1; }

lint: ## go vet and staticcheck
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

.PHONY: help build check test race identities e2e conformance compare curves soak pgo scenarios fuzz-short bench fmt fmt-check lint
