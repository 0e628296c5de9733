# Quittance. `make help` lists what can be asked for.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run demo test screenshots fuzz bench chaos build lint coverage sanitize clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## set up, start everything, play one paid order through, stay up (Ctrl-C stops)
	@deploy/run

demo: ## the same play on ports and folders of its own, then stop: exit 0, or the step that failed
	@deploy/demo

# In CI the tests run once, with lines counted, and too few covered fail it: see deploy/coverage. Then damaged input is tried for a minute.
test: ## every test (TARGET=NameTests: one target), against the real Redis, SQLite, SMTP, docxtpl and sandbox
	@deploy/bootstrap test
ifeq ($(CI),true)
	@deploy/coverage $(TARGET)
	@deploy/fuzz --seconds 60
else
	swift build --build-tests
	@deploy/test $(TARGET)
endif

screenshots: ## pictures of the pages in both languages and both themes, taken by a real browser, into .build/screenshots
	@deploy/bootstrap test
	@mkdir -p .build/screenshots
	QUITTANCE_PICTURES=$(CURDIR)/.build/screenshots swift test --disable-xctest --filter 'WebBrowserTests|WebTeamBrowserTests|ConsoleBrowserTests|SeedFlowTests'

fuzz: ## damaged input against all that takes input from outside, for MINUTES=10; TARGET=webhook (forged, token, http, json, records, samples) tries one
	@deploy/bootstrap build
	@deploy/fuzz --seconds $$(( $(or $(MINUTES),10) * 60 )) $(TARGET)

bench: build ## the benchmark tables; ONLY=queue (or ingest, pipeline, ...) runs one
	@deploy/bootstrap bench
	.build/release/bench $(if $(ONLY),--only $(ONLY))

chaos: build ## accidents at random for MINUTES=5, then the books must agree; SEED=n plays the same ones again, ONLY=engine or ingest
	@MINUTES=$(or $(MINUTES),5) SEED=$(SEED) deploy/chaos $(if $(ONLY),--only $(ONLY))

build: ## release binaries into .build/release
	@deploy/bootstrap build
	swift build -c release --static-swift-stdlib

lint: ## formatting and syntax of everything, nothing changed
	@deploy/bootstrap lint
	@deploy/lint

coverage: ## every test with lines counted, per room; fails where fewer are covered than promised
	@deploy/bootstrap test
	@deploy/coverage $(TARGET)

sanitize: ## every test under the thread and the address sanitizer; KIND=thread (or address) runs one
	@deploy/bootstrap test
	@deploy/sanitize $(KIND) $(TARGET)

clean: ## remove builds and the Python environment; var/, where the data is, stays
	rm -rf .build .venv
