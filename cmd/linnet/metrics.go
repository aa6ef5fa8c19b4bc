package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/node"
)

// metricsFlags are for servers that somebody watches.
type metricsFlags struct {
	Metrics string `help:"Serve /healthz, /readyz and /metrics here; without a host, on loopback alone." placeholder:"[HOST]:PORT"`
}

// watch is how long a figure may take: a loop that does not answer by then is stuck.
const watch = 2 * time.Second

// A watched server tells operators how it is.
type watched struct {
	collect func(context.Context) ([]prometheus.Metric, error)
	ready   func(context.Context) error // nil error: send it users
}

// serve answers operators until ctx ends. Without --metrics it does nothing.
func (f *metricsFlags) serve(ctx context.Context, w watched) error {
	if f.Metrics == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(f.Metrics)
	if err != nil {
		return &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("%q is no address for --metrics", f.Metrics), Hint: "for example :9100", Err: err}
	}
	if host == "" {
		host = loopback.Addr().String()
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return &linnet.Error{Code: linnet.CodeInUse, Text: "metrics cannot be served at " + f.Metrics, Hint: "choose another port with --metrics", Err: err}
	}
	server := &http.Server{Handler: w.handler(), ReadHeaderTimeout: watch, ReadTimeout: watch, WriteTimeout: 3 * watch}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (w watched) handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(w, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", probe(func(ctx context.Context) error {
		_, err := w.collect(ctx)
		return err
	}))
	mux.HandleFunc("GET /readyz", probe(w.ready))
	return mux
}

// probe answers 200 or, with the reason, 503.
func probe(well func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), watch)
		defer cancel()
		if err := well(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

// Describe implements prometheus.Collector: what there is depends on the server.
func (watched) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (w watched) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), watch)
	defer cancel()
	metrics, err := w.collect(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
		return
	}
	for _, m := range metrics {
		out <- m
	}
}

// metrics is a list of values as they are at one moment.
type metrics []prometheus.Metric

// add takes labels as names and values in turn.
func (m *metrics) add(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	*m = append(*m, prometheus.MustNewConstMetric(prometheus.NewDesc("linnet_"+name, help, names, nil), kind, value, values...))
}

func (m *metrics) gauge(name, help string, value int, labels ...string) {
	m.add(prometheus.GaugeValue, name, help, float64(value), labels...)
}

func (m *metrics) counter(name, help string, value uint64, labels ...string) {
	m.add(prometheus.CounterValue, name, help, float64(value), labels...)
}

func (m *metrics) link(c link.Counters) {
	for _, t := range []struct {
		transport, direction string
		link.Traffic
	}{{"udp", "in", c.UDPReceived}, {"udp", "out", c.UDPSent}, {"tcp", "in", c.TCPReceived}, {"tcp", "out", c.TCPSent}} {
		m.counter("link_packets_total", "Datagrams, and records of streams.", t.Packets, "transport", t.transport, "direction", t.direction)
		m.counter("link_bytes_total", "Bytes in them.", t.Bytes, "transport", t.transport, "direction", t.direction)
	}
	m.counter("link_resent_total", "Commands that were sent again.", c.Resent)
	m.gauge("link_streams", "TCP streams that are open.", c.Streams)
	for i, n := range c.Dropped {
		m.counter("link_dropped_total", "What arrived and was not used.", n, "reason", link.Drop(i).String())
	}
}

var errNotServing = errors.New("not serving: starting, draining or without an identity")

// watchSupernode tells operators how a supernode is.
func watchSupernode(n *node.Node) watched {
	return watched{
		ready: func(ctx context.Context) error {
			f, err := n.Figures(ctx)
			if err == nil && !f.Serving {
				err = errNotServing
			}
			if err == nil {
				err = n.CheckDisk(ctx)
			}
			return err
		},
		collect: func(ctx context.Context) ([]prometheus.Metric, error) {
			f, err := n.Figures(ctx)
			if err != nil {
				return nil, err
			}
			var m metrics
			m.gauge("ready", "1 while the supernode serves, 0 while it starts or drains.", truth(f.Serving))
			m.gauge("clients", "Nodes that are attached.", f.Clients)
			m.gauge("supernodes", "Supernodes in the table that are alive.", f.Supernodes)
			m.gauge("slot", "The slot of this machine's own name.", f.Slot)
			m.gauge("block", "The block of that slot.", f.Block)
			m.gauge("records", "Device records kept.", f.Records)
			m.counter("searches_total", "Lookups asked by clients and other supernodes.", f.Searches)
			m.gauge("load_percent", "Of the limits, the one that is nearest.", f.Load)
			for i, service := range [...]string{"attaching", "searching", "forwarding"} {
				m.gauge("shedding", "1 while a service is refused because of load.", truth(f.Sheds[i]), "service", service)
			}
			m.gauge("relay_reservations", "Calls that have a relay here, used or spare.", f.Relay.Reservations)
			m.add(prometheus.GaugeValue, "relay_busy_ratio", "Of the time, how much the busiest reader of the socket worked; above 0.8 no new calls are relayed.", f.Relay.Busy)
			m.counter("relay_packets_total", "Packets relayed.", f.Relay.Packets)
			m.counter("relay_bytes_total", "Bytes relayed.", f.Relay.Bytes)
			m.counter("relay_dropped_total", "Packets not relayed.", f.Relay.Strange, "reason", "origin")
			m.counter("relay_dropped_total", "Packets not relayed.", f.Relay.Capped, "reason", "limit")
			m.counter("relay_dropped_total", "Packets not relayed.", f.Relay.Away, "reason", "away")
			m.counter("relay_refused_total", "Reservations not given.", f.Relay.Refused)
			m.link(f.Link)
			return m, nil
		},
	}
}

var errNotAttached = errors.New("not attached to a supernode")

// watchNode tells whoever lets a node run unattended how it is.
func watchNode(n *node.Node) watched {
	return watched{
		ready: func(ctx context.Context) error {
			s, err := n.Status(ctx)
			if err == nil && !s.Online {
				err = errNotAttached
			}
			return err
		},
		collect: func(ctx context.Context) ([]prometheus.Metric, error) {
			s, err := n.Status(ctx)
			if err != nil {
				return nil, err
			}
			var m metrics
			m.gauge("ready", "1 while the node is attached to a supernode.", truth(s.Online))
			m.gauge("attachments", "Supernodes that the node is attached to.", len(s.Supernodes))
			m.gauge("calls", "Calls in progress.", len(s.Calls))
			m.link(n.Counters())
			return m, nil
		},
	}
}

// watchLoginServer tells operators how a login server is.
func watchLoginServer(s *node.LoginServer) watched {
	return watched{
		ready: s.CheckDisk,
		collect: func(context.Context) ([]prometheus.Metric, error) {
			var m metrics
			m.link(s.Counters())
			return m, nil
		},
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
