# Linnet: `make demo` shows a network on this machine, `make test` runs the tests.
# A new machine needs Go and nothing else for both.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# SQLite's generated code takes most of a first build; without inlining it
# compiles in half the time. `make build` is the optimised binary.
# It is one large package that one core compiles alone; named first, as the demo
# does, it is begun while there is work for the other cores. (go build -o would
# leave out what is no program, and so the order.)
QUICK   := -gcflags=modernc.org/...=-l

export CGO_ENABLED ?= 0

.PHONY: demo build test race lint web page fuzz sim sim-large bench bench-relay bench-attach bench-kademlia nat-matrix long clean

# Somebody at a screen wants to speak and hear: their terminal runs the network and its page
# opens. Anybody else gets two calls without one, what was measured, and an end.
SCREEN := [ -t 0 ] && [ -t 1 ] && { [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; }

demo: ## a whole network on this machine, a telephone in it, and where to go next
	GOBIN="$(CURDIR)/bin" $(GO) install $(QUICK) -ldflags "-s -w" modernc.org/sqlite/lib ./cmd/linnet
	@if $(SCREEN); then exec ./bin/linnet demo; fi; \
	./bin/linnet demo --headless --seconds 8 && \
	echo && \
	echo "That was a network of your own: a login server, three supernodes, alice, bob and echo123." && \
	echo "Hear your own voice in one:          ./bin/linnet demo" && \
	echo "Start a real one:                    ./bin/linnet network create NAME --home ~/linnet-network" && \
	echo "How it works:                        docs/architecture.md"

build: ## the optimised program
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/linnet ./cmd/linnet

test: ## all tests that need no special rights
	$(GO) test -timeout 20m $(QUICK) ./...

# Most packages start no goroutine and lock nothing: there is no race to find. The
# tests of cmd/linnet run whole programs, which are package node for the most part,
# and take minutes more under the detector. SQLite's generated code, which database/sql
# gives to one goroutine at a time, is not looked into. (Other packages cannot be
# left out like that: generic code that they have in common with ours would go with them.)
RACY     = $(shell grep -rlE --include='*.go' '"sync"|"sync/atomic"|^[[:space:]]*go (func|[a-z])' . | grep -vE '/bench/|/cmd/' | xargs -n 1 dirname | sort -u)
SHORT   ?= -short
race: ## the packages that have goroutines, under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race $(SHORT) -timeout 20m '-gcflags=modernc.org/...=-l -race=false' $(RACY)

lint: ## gofmt, vet, staticcheck
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "gofmt would change: $$bad"; exit 1; }
	$(GO) vet $(QUICK) ./...
	GOFLAGS=$(QUICK) $(GO) run honnef.co/go/tools/cmd/staticcheck@latest ./...

web: ## the bundle of the page, web/dist (needs Node)
	cd web && npm ci --silent && npm run --silent check && npm run --silent build

page: ## the page in browsers, with microphones that beep (needs bin/linnet, Node, Debian's chromium and firefox-esr)
	cd web && npm run --silent test

FUZZTIME ?= 5s
fuzz: ## every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

sim: ## the network at 5,000 nodes, membership at 2,000 supernodes; two minutes
	scripts/simulate short

sim-large: ## all simulations in full, a line of docs/benchmarks.md each; hours on a busy machine, 10 GB
	scripts/simulate large

bench: ## the figures of docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-relay: build ## relays: ours, a plain forwarder, one in C, coturn from Debian (needs cc, and root once)
	scripts/relay-table

bench-attach: build ## what 100,000 attached nodes cost a supernode, and a million in its state machine
	./bin/linnet bench attach --clients 100000 --seconds 60
	LINNET_LONG=1 $(GO) test -count=1 -v -run MillionClients ./overlay

bench-kademlia: ## what a look-up costs in libp2p's DHT, for comparison
	cd bench/kademlia && $(GO) run . -nodes 120 -lookups 120 -rtt 3s && $(GO) run . -nodes 300 -lookups 120 -rtt 3s

GUESSING = port-restricted+symmetric,symmetric+cgnat,symmetric+firewall,symmetric+dual-stack,port-restricted+cgnat-symmetric,cgnat+cgnat-symmetric,cgnat-symmetric+firewall,cgnat-symmetric+dual-stack
EIGHT    = public+port-restricted,port-restricted+port-restricted,full-cone+cgnat,restricted-cone+firewall,port-restricted+symmetric,dual-stack+cgnat,udp-blocked+port-restricted,symmetric+symmetric
PAIRS   ?= all
TRIES   ?= 1
VOICE   ?= 10
LINK    ?=
nat-matrix: ## calls between hosts behind all kinds of real NATs (root; nftables, conntrack, ../shared/natlab)
	LINNET_NATLAB=1 $(GO) test $(QUICK) -count=1 -timeout 3h -run TestNATMatrix ./cmd/linnet -args \
		-pairs=$(PAIRS) -tries=$(TRIES) -seconds=$(VOICE) -options=$(LINK)

long: ## soaks, kills and long fuzzing in full
	$(MAKE) race SHORT=
	$(MAKE) fuzz FUZZTIME=60s
	LINNET_LONG=1 $(GO) test -count=1 -timeout 60m -skip TestNATMatrix ./...
	LINNET_LONG=1 $(MAKE) page
	$(MAKE) nat-matrix
	$(MAKE) nat-matrix PAIRS=$(GUESSING) TRIES=40 VOICE=0.5
	-for link in delay=20,loss=1 delay=80,loss=5 delay=200,loss=15; do $(MAKE) nat-matrix PAIRS=$(EIGHT) VOICE=5 LINK=$$link; done
	$(MAKE) bench-attach

clean:
	rm -rf bin
