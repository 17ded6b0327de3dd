# Every command of the project. `make help` lists them. Only Go is needed, except where a line says otherwise.

SHELL := /bin/bash
.DEFAULT_GOAL := help

GO ?= go
# What Lambda runs: static, small, without the RPC mode that only the go1.x runtime used.
LAMBDA_BUILD = CGO_ENABLED=0 GOOS=linux $(GO) build -tags lambda.norpc -trimpath -ldflags='-s -w'
GOLANGCI = $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Start the whole stack on this machine: https://127.0.0.1:8443
	$(GO) run ./local

.PHONY: worker
worker: ## Start a worker that runs the Claude CLI for the stack on this machine
	$(GO) run ./worker

.PHONY: test
test: ## Run every test that needs only Go
	$(GO) test ./...

.PHONY: race
race: ## Run the tests under the race detector (needs a C compiler)
	$(GO) test -race ./...

FAULTS ?= seed=1,all
.PHONY: faults
faults: ## Run the suites with what AWS does now and then: throttling, conflicts, lag, lost answers
	BLOOM_FAULTS=$(FAULTS) $(GO) test -count=1 ./local/contract ./local/crash
	BLOOM_FAULTS=$(FAULTS),lag=0s,stale=0s $(GO) test -count=1 ./shared/dynamo

.PHONY: lint
lint: ## Check format, vet and golangci-lint, the direction of imports included
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run: gofmt -w ."; exit 1; }
	$(GO) vet ./...
	$(GOLANGCI) run ./...

.PHONY: bench
# Other servers of DynamoDB's protocol to measure beside ours: BESIDE='-beside NAME=URL'
BESIDE ?=
bench: ## Measure the started stack over HTTPS beside a bare TLS server, and the embedded DynamoDB
	$(GO) run ./local/bench
	$(GO) run ./local/dynamodb/bench $(BESIDE)

FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (20s) each
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; done

.PHONY: build
build: ## Build every function for Lambda on arm64 into dist/
	GOARCH=arm64 $(LAMBDA_BUILD) -o dist/ ./functions/...

.PHONY: deploy
deploy: ## Build and deploy to AWS (needs the SAM CLI and an AWS account)
	sam build && sam deploy --guided

# `sam build` calls build-<LogicalId> for each function: CreateTaskFunction is functions/create-task.
build-%:
	GOARCH=arm64 $(LAMBDA_BUILD) -o $(ARTIFACTS_DIR)/bootstrap \
	  ./functions/$$(echo $* | sed -E 's/Function$$//; s/([a-z])([A-Z])/\1-\2/g' | tr '[:upper:]' '[:lower:]')
