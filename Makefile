# hybridlab. `make` alone lists the targets.
SHELL := /bin/bash
GO ?= go
export CGO_ENABLED ?= 0
BIN := bin/hybridlab
VERSION := $(shell git rev-parse --short=12 HEAD 2>/dev/null)$(shell git diff --quiet HEAD 2>/dev/null || echo -dirty)
ARGS ?=
# The processes of the suite wait side by side for one fabric.
PROCS ?= 32

.DEFAULT_GOAL := help
.PHONY: help lab suite test check bench images fuzz fidelity golden clean build

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(BIN)
$(BIN): FORCE
	@$(GO) build -trimpath -ldflags "-X hybridlab/lab/rig.version=$(VERSION)" -o $@ ./lab/cmd/hybridlab
FORCE:

lab: build ## run the matrix: containers where a Docker daemon answers, else the embedded fabric (ARGS="--level full")
	@$(BIN) run $(ARGS)

suite: build ## the same matrix through the Ginkgo suite, one It per cell (ARGS="-fabric embedded -level full")
	@$(GO) tool ginkgo --procs=$(PROCS) --timeout=60m --fail-on-empty --randomize-all --junit-report=suite.xml --output-dir=bin ./scenarios -- -fabric auto -level quick $(ARGS)

test: build ## all tests; those that need Docker or Chromium only where they are
	@tags=""; \
	if $(BIN) doctor --quiet --need docker; then echo "Docker answers: running the container tests too"; tags=docker; \
	else echo "Docker does not answer: the container tests are NOT run"; fi; \
	if command -v chromium >/dev/null; then echo "Chromium is there: running the page in it too"; tags="$$tags,browser"; \
	else echo "There is no chromium: the page is NOT opened in a browser"; fi; \
	$(GO) test -tags "$$tags" -timeout 20m ./...

check: ## format, vet, lint, race detector, 10 s of every fuzz target
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet -tags docker ./...
	$(GO) tool staticcheck ./...
	CGO_ENABLED=1 $(GO) test -race -shuffle=on ./...
	@$(MAKE) --no-print-directory fuzz

fuzz: ## 10 s of every fuzz target
	@grep -rlE '^func Fuzz' --include=*_test.go . | while read f; do d=$$(dirname $$f); \
	  for t in $$(grep -oE '^func Fuzz[A-Za-z0-9]+' $$f | cut -d' ' -f2); do \
	    $(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime 10s -fuzzminimizetime 10x $$d || exit 1; done; done

rules: ## hold every peer's recorded behaviour against the real one (needs Docker, half an hour)
	$(GO) test -tags docker -timeout 90m -run 'TestRecord' ./peers -every

fidelity: ## hold the engine against the kernel's tc-netem: a table (needs Docker, some minutes)
	$(GO) test -tags docker -count=1 -timeout 20m -run TestFidelity -v ./netem/fidelity -times 5

golden: ## rewrite the goldens from what the code does now; read the diff
	$(GO) test ./... -update

bench: build ## cells per second, start-up, memory: the figures that are promised
	@if $(BIN) doctor --quiet --need docker; then tags="-tags docker"; else echo "Docker does not answer: container figures are missing"; fi; \
	for b in EmbeddedCells EmbeddedTenThousand Triage ContainerStart ContainerCells FullClean CellCost Images; do \
	  $(GO) test $$tags -run '^$$' -bench "$$b$$" -benchtime 1x -timeout 20m ./scenarios | grep -E '^Benchmark|FAIL|panic|---' ; done
	@$(GO) test -run '^$$' -bench . ./netem/... ./lab/wire ./lab/capture | grep ^Benchmark
	@if command -v chromium >/dev/null; then $(GO) test -tags browser -run '^$$' -bench PageInBrowser -benchtime 1x ./reports | grep ^Benchmark; fi

images: build ## build the images of peers and middleboxes
	@$(BIN) images build

clean: build ## remove every container, network and image of ours, and the build
	@$(BIN) clean --images; rm -rf bin
