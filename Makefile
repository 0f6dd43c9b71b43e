GO ?= go
BIN := bin/diagnose

.PHONY: build test lint demo bench fuzz clean

build: ## build bin/diagnose
	$(GO) build -o $(BIN) ./cmd/diagnose

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

clean:
	rm -rf bin
