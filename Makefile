GO ?= go
BIN := bin/diagnose
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# The same source gives the same bytes, wherever it is built.
BUILD := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

.PHONY: build install test lint demo bench fuzz module clean

build: ## build bin/diagnose
	CGO_ENABLED=0 $(GO) build $(BUILD) -o $(BIN) ./cmd/diagnose

install: ## install diagnose into GOBIN, or else GOPATH/bin
	CGO_ENABLED=0 $(GO) install $(BUILD) ./cmd/diagnose

demo: build ## a denied, an allowed and an undetermined case, and a list of all others
	@$(BIN) demo

test: ## all tests; DIAGNOSE_DATA names a folder with inputs of others
	$(GO) test ./...

lint: ## vet, staticcheck and formatting
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@test -z "$$(gofmt -l .)" || { gofmt -l . && echo "run gofmt -w on these files" && exit 1; }

bench: build ## time of the judge, of the whole process, and of a scan
	$(GO) test -run '^$$' -bench . -benchmem ./...
	@if command -v hyperfine >/dev/null; then hyperfine -N -i --warmup 5 '$(BIN) invoke demo:granted-proven' '$(BIN) invoke demo:condition-expired'; \
	else echo "hyperfine is not installed: no whole-process figures"; fi
	@.ci/bench

fuzz: ## each fuzz target for a while
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-20s} $$p || exit 1; done; done

module: ## give the module its published path: make module MODULE=github.com/OWNER/diagnose
	.ci/module "$(MODULE)"
	$(GO) vet ./...
	$(MAKE) test

clean:
	rm -rf bin dist
