# Targets are explained by "make help".

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
DESTDIR ?=

GO ?= go
# Where Go's own archive is unpacked; sudo and root's login do not look there.
export PATH := $(PATH):/usr/local/go/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 5s
PKG := ./...
# Tools with large dependency trees have a module of their own.
GO_TOOL = $(GO) tool -modfile=tools/go.mod
MODULE := github.com/pasta-net/pasta
# Personalities with a man page and completions.
DOCUMENTED := pasta pesto slirp4netns vpnkit
# One binary; the other names are links that choose its personality.
LINKS := passt slirp4netns vpnkit pesto
# Installed names, of LINKS those that work: the others are left to who has them.
# Some callers prefer pasta.avx2, which the passt project has.
INSTALLED_LINKS := pesto slirp4netns vpnkit pasta.avx2
# What install installs as pasta.
BINARY ?= bin/pasta
ARCHES := amd64 arm64
# Where packages go.
DIST ?= dist
# VERSION says which commit this is; Go's own stamp fails in a clone of somebody else's.
GOBUILD := CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -ldflags '-s -w -X $(MODULE)/cmd/pasta/command.version=$(VERSION)'
SCRIPTS := $(wildcard hack/*.sh hack/*.bash packaging/deb/p* packaging/rpm/p* tests/bats/*.bash tests/bats/lib/*.bash \
	tests/bench/*.sh tests/bench/*.bash) .ci/run $(wildcard completions/*.bash)
# Ordinary users leave out the few tests that only root can do (tag root).
NO_ROOT_TESTS = $(if $(filter-out 0,$(shell id -u)),--filter-tags '!root')
BATS := $(wildcard tests/bats/*.bats) tests/bats/000-TEMPLATE

.DEFAULT_GOAL := build
.NOTPARALLEL:
.PHONY: all build install install-files uninstall packages setup run test unit race netns-test bats fuzz bench lint \
	shellcheck fmt vet man completions generate check-generated check-fmt cross clean help

all: build generate ## build, and regenerate man page and completions

build: ## the static binary bin/pasta and its links (default)
	@hack/setup.sh go
	@mkdir -p bin
	$(GOBUILD) -o bin/pasta ./cmd/pasta
	@for name in $(LINKS); do ln -sf pasta bin/$$name; done

bin/nettool: $(wildcard tests/tools/nettool/*.go) ## the other end of tests and benchmarks
	CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -o $@ ./tests/tools/nettool

# RootlessKit's own programs, from a module of its own: what they need is none of ours.
bin/rootlesskit bin/rootlessctl &: tests/tools/rootlesskit/go.mod
	cd tests/tools/rootlesskit && CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -o $(CURDIR)/bin/ tool
	touch bin/rootlesskit bin/rootlessctl

bin/rootlesskit1: tests/tools/rootlesskit1/go.mod ## an old RootlessKit, for its other way to use vpnkit
	cd tests/tools/rootlesskit1 && CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -o $(CURDIR)/$@ tool

install: build install-files ## install below DESTDIR/PREFIX

install-files: # what is built already, for packages
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 \
		$(DESTDIR)$(BASHCOMPDIR) $(DESTDIR)$(ZSHCOMPDIR) $(DESTDIR)$(FISHCOMPDIR)
	install -m 0755 $(BINARY) $(DESTDIR)$(BINDIR)/pasta
	for name in $(DOCUMENTED); do \
		install -m 0644 docs/man/$$name.1 $(DESTDIR)$(MANDIR)/man1/$$name.1 && \
		install -m 0644 completions/$$name.bash $(DESTDIR)$(BASHCOMPDIR)/$$name && \
		install -m 0644 completions/$$name.zsh $(DESTDIR)$(ZSHCOMPDIR)/_$$name && \
		install -m 0644 completions/$$name.fish $(DESTDIR)$(FISHCOMPDIR)/$$name.fish || exit; done
	for name in $(INSTALLED_LINKS); do ln -sf pasta $(DESTDIR)$(BINDIR)/$$name; done

uninstall: ## remove what install installed
	rm -f $(DESTDIR)$(BINDIR)/pasta
	for name in $(DOCUMENTED); do rm -f $(DESTDIR)$(MANDIR)/man1/$$name.1 \
		$(DESTDIR)$(BASHCOMPDIR)/$$name $(DESTDIR)$(ZSHCOMPDIR)/_$$name $(DESTDIR)$(FISHCOMPDIR)/$$name.fish; done
	for name in $(INSTALLED_LINKS); do rm -f $(DESTDIR)$(BINDIR)/$$name; done

setup: ## install what tests need and open /dev/net/tun (as root)
	hack/setup.sh

run: build ## a shell in a connected namespace, or CMD='...' in one
	@hack/run.sh '$(subst ','\'',$(CMD))'

test: setup build unit race netns-test fuzz bats lint check-generated ## everything; as root it first runs setup

unit: ## unit tests, with the seeds of the fuzz targets
	CGO_ENABLED=0 $(GO) test $(PKG)

race: ## the same under the race detector
	CGO_ENABLED=1 $(GO) test -race $(PKG)

netns-test: ## the same, where a test that cannot make namespaces fails
	CGO_ENABLED=0 PASTA_REQUIRE_NETNS=1 $(GO) test -count=1 $(PKG)

bats: build bin/nettool bin/rootlesskit bin/rootlessctl bin/rootlesskit1 ## tests of the binary; those that need root only as root
	PASTA_REQUIRE_NETNS=1 PASTA=$(CURDIR)/bin/pasta bats $(NO_ROOT_TESTS) tests/bats

fuzz: ## every fuzz target for FUZZTIME (5s)
	hack/fuzz.sh $(FUZZTIME)

bench: build bin/nettool ## compare with direct veth, passt and slirp4netns
	tests/bench/bench.sh

lint: vet check-fmt shellcheck cross ## all static checks, and that every architecture builds
	$(GO) tool staticcheck $(PKG)
	$(GO_TOOL) golangci-lint run

vet: ## go vet
	$(GO) vet $(PKG)

check-fmt: ## fail on files that fmt would change
	@changed=$$($(GO) tool gofumpt -l .); [ -z "$$changed" ] || { echo "not formatted, run make fmt:"; echo "$$changed"; exit 1; }

shellcheck: ## check shell scripts
	shellcheck -x -P SCRIPTDIR $(SCRIPTS)
	# Each test of a file is a subshell of its own, on purpose.
	shellcheck -x -P SCRIPTDIR -e SC2030,SC2031 $(BATS)

fmt: ## format the code
	$(GO) tool gofumpt -w .

# One generator writes man page and completions; both names exist for habit.
man completions generate: ## regenerate man page and completions
	$(GO) run ./cmd/pasta/internal/gen .

check-generated: ## fail if generated files are not those of the source
	$(GO) test -count=1 -run TestGeneratedFilesAreCurrent ./cmd/pasta/internal/gen

cross: ## build for every supported architecture
	@mkdir -p bin
	for arch in $(ARCHES); do GOARCH=$$arch $(GOBUILD) -o bin/pasta-linux-$$arch ./cmd/pasta || exit; done

packages: cross ## DIST/*.deb and DIST/*.rpm for every supported architecture
	DIST=$(DIST) VERSION=$(VERSION) GO_TOOL='$(GO_TOOL)' hack/packages.sh $(ARCHES)

clean: ## remove what build and packages built
	rm -rf bin dist

help: ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "%-28s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
