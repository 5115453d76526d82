# Handrail. `make` lists the verbs; CI calls the same ones.
SHELL        := /bin/bash
.SHELLFLAGS  := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS    += --no-print-directory

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
GOLINT   := v2.15.0
TOOLS    := $(CURDIR)/.tools/bin
DEMO     ?= 1
FLEET    ?= 0
DATA     ?= ./data
NAME     ?=
# SQLite is C turned into Go: all it works on is memory of its own, which the race detector does not
# watch (runtime/race_amd64.s: racecalladdr). To ask it about every access there only takes time,
# two thirds of that of the tests of a database. Everything around it is watched.
RACE     := -race -gcflags='modernc.org/sqlite/lib=-race=false -d=checkptr=0'
say       = @printf '\033[1m==>\033[0m %s\n' "$(1)"

console_sources := $(shell find web viewer -name node_modules -prune -o -name dist -prune -o -type f \( -name '*.ts' -o -name '*.tsx' -o -name '*.css' -o -name '*.html' -o -name '*.svg' -o -name package.json -o -name 'vite.config.*' \) -print 2>/dev/null)

.PHONY: help
help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: run
run: ## set up, build, start the gateway and a demo device (DEMO=0: none; FLEET=2000: and simulated ones)
	@.ci/setup build $(if $(filter 0,$(DEMO)),,demo)
	@$(MAKE) build-gateway $(if $(filter 0,$(DEMO)),,build-agent build-companion build-demo)
ifeq ($(DEMO),0)
	@exec bin/handrail-gateway run --data $(DATA)
else
	@exec bin/handrail-demo --data $(DATA) --fleet $(FLEET)
endif

.PHONY: build build-cli build-gateway build-agent build-companion build-demo
build: setup-build build-gateway build-cli build-agent build-companion ## bin/handrail-gateway, handrail, -agent, -companion
build-gateway: web/dist/index.html
	$(call say,building the gateway)
	@CGO_ENABLED=0 go build -trimpath -tags console -ldflags '$(LDFLAGS)' -o bin/handrail-gateway ./gateway
build-cli:
	$(call say,building the command line)
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/handrail ./gateway/handrail
build-agent:
	$(call say,building the agent)
	@go build -trimpath -ldflags '$(LDFLAGS)' -o bin/handrail-agent ./agent
build-companion:
	$(call say,building the companion window (the first time takes a few minutes))
	@go build -trimpath -ldflags '$(LDFLAGS)' -o bin/handrail-companion ./agent/companion
build-demo:
	@go build -trimpath -o bin/handrail-demo ./agent/demo

.PHONY: packages
packages: setup-build build-agent build-companion ## Debian and RPM packages of the agent, in bin/packages
	@.ci/setup package
	@agent/packaging/build $(VERSION) bin/packages

.PHONY: setup-build setup-test
setup-build:
	@.ci/setup build
setup-test:
	@.ci/setup build demo package test

.PHONY: agents
agents: ## cross-compile everything without cgo for linux, windows and darwin
	@for os in linux windows darwin; do printf '==> CGO_ENABLED=0 GOOS=%s\n' $$os; CGO_ENABLED=0 GOOS=$$os go build ./...; done

.PHONY: web
web: web/dist/index.html ## build the console into web/dist

node_modules/.installed: package-lock.json package.json
	$(call say,installing the console's packages)
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: node_modules/.installed $(console_sources)
	$(call say,building the console)
	@npm run --silent build
	@touch $@

.PHONY: gen
gen: node_modules/.installed ## Go -> TypeScript, OpenAPI, golden files
	@go generate ./...
	@npm run --silent gen

.PHONY: check
check: gen ## generated files are fresh, formatted, tidy
	@git diff --exit-code --stat
	@go mod tidy -diff

.PHONY: lint
lint: setup-build node_modules/.installed $(TOOLS)/golangci-lint ## golangci-lint, vet, tsc, Biome
	$(call say,golangci-lint)
	@$(TOOLS)/golangci-lint run --timeout 20m ./...
	$(call say,tsc and Biome)
	@npm run --silent check

$(TOOLS)/golangci-lint: Makefile
	$(call say,building golangci-lint $(GOLINT))
	@GOBIN=$(TOOLS) CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLINT)
	@touch $@

.PHONY: test
test: setup-test node_modules/.installed ## set up and run every check: Go with race and PostgreSQL, TypeScript, browser
	$(call say,TypeScript tests)
	@npm run --silent test
	@npm run --silent test:browser -w @handrail/viewer
	@$(MAKE) build-gateway build-agent build-companion build-demo agents
	$(call say,Go tests with the race detector on SQLite and PostgreSQL)
	@.ci/with-postgres go test $(RACE) -timeout 20m ./...
	@$(MAKE) e2e

.PHONY: unit
unit: node_modules/.installed ## quick tests: Go on SQLite only, vitest
	@go test ./...
	@npm run --silent test

.PHONY: e2e
e2e: setup-test node_modules/.installed build-gateway build-agent build-companion build-demo ## browser tests on a real gateway, desktop and Chromium
	$(call say,browser tests)
	@npm run --silent e2e

.PHONY: screenshots
screenshots: node_modules/.installed build-gateway build-agent ## the pictures of docs/images, of the real console
	@mkdir -p docs/images
	@node e2e/screenshots.mjs

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (30s)
	@for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p 2>/dev/null | grep ^Fuzz || true); do \
			printf '==> %s %s\n' $$p $$f; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$p; done; done

.PHONY: bench
bench: setup-test node_modules/.installed ## the figures users feel, one JSON line each (NAME=x: only that one)
	@$(MAKE) build-gateway build-agent build-demo >&2
	@node e2e/bench/run.mjs $(if $(NAME),--name $(NAME)) || true

.PHONY: clean
clean: ## remove what was built; ./data stays
	@rm -rf bin web/dist .cache .tools node_modules
