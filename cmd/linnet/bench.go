package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/relay/load"
)

type benchCmd struct {
	Relay  benchRelayCmd  `cmd:"" help:"Measure how much a relay carries, and what it adds to a packet's time."`
	Attach benchAttachCmd `cmd:"" help:"Measure how many attached nodes a supernode holds, and what they cost it."`
}

type benchRelayCmd struct {
	Legs      int            `default:"1000" help:"Calls, one way each."`
	Size      int            `default:"160" help:"Bytes of a datagram."`
	PPS       int            `default:"0" help:"Packets per second, all legs together. 0 is as many as go: the rate is measured then, else the delay."`
	Seconds   int            `default:"3" help:"Length of each turn."`
	Turns     int            `default:"3" help:"Turns of relay and baseline, one after the other; the median counts."`
	Train     bool           `help:"Send the packets of a leg after one another, as video does."`
	Baseline  load.Kind      `default:"recvmmsg" enum:"recvmmsg,single" help:"The plain forwarder to compare with: in batches, or a system call a packet."`
	TURN      netip.AddrPort `name:"turn" placeholder:"ADDR" help:"Measure this TURN server as well, with the same packets. It has to take clients without a password."`
	TURNPID   int            `name:"turn-pid" placeholder:"PID" help:"Its process, if it runs here: what it costs is compared."`
	Forwarder string         `placeholder:"PROGRAM" type:"existingfile" help:"Measure this forwarder as well (bench/forwarder has one in C)."`
	Overload  float64        `help:"Offer calls, at the end, of so many times what the relay carried (1.3): how many it admits, and what those lose." placeholder:"TIMES"`
	Peer      string         `placeholder:"ADDR" help:"Use the relay that runs there: the same command with --serve."`
	Local     netip.Addr     `default:"127.0.0.1" help:"Address to send from and receive at."`
	Serve     string         `placeholder:"ADDR" help:"Relay for whoever connects to this TCP address, and measure nothing. Only on a network of your own: it sends where it is told to."`
	Pipe      bool           `hidden:""`
}

// servers may run at once in a process that relays: the one that does, and another one that
// is asked meanwhile, and would keep the first from running while it waits for a question.
const servers = 2

func (c *benchRelayCmd) Run(p *program) error {
	switch {
	case c.Pipe:
		runtime.GOMAXPROCS(servers)
		return load.Serve(p.ctx, c.Local, p.stdin, p.stdout)
	case c.Serve != "":
		return c.serve(p)
	}
	core, err := load.Apart()
	if err == nil && c.TURNPID != 0 {
		err = core.Take(c.TURNPID)
	}
	if err != nil {
		return &linnet.Error{Code: linnet.CodeFailed, Text: err.Error()}
	}
	o := load.Options{
		Legs: c.Legs, Size: c.Size, PPS: c.PPS, Time: time.Duration(c.Seconds) * time.Second,
		Turns: c.Turns, Train: c.Train, Baseline: c.Baseline, Overload: c.Overload, TURN: c.TURN, TURNProcess: c.TURNPID,
	}
	if c.Forwarder != "" {
		o.Forwarder = func(ctx context.Context) (io.ReadWriteCloser, error) {
			return piped(exec.CommandContext(ctx, c.Forwarder), core.Start)
		}
	}
	dial := func(ctx context.Context) (io.ReadWriteCloser, error) {
		return ownProcess(ctx, core.Start, "bench", "relay", "--pipe", "--local", c.Local.String())
	}
	if c.Peer != "" {
		dial = func(ctx context.Context) (io.ReadWriteCloser, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", c.Peer)
		}
	}
	r, err := load.Run(p.ctx, o, c.Local, dial, func(done, all int) { p.tell("turn %d of %d", done, all) })
	if err != nil {
		return &linnet.Error{Code: linnet.CodeFailed, Text: err.Error()}
	}
	return p.print(r, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "%d legs, %d bytes, packets per second\n", r.Legs, r.Size)
		fmt.Fprintf(w, "  offered\t%.0f\n  relayed\t%.0f\tlost %.2f %%\n", r.Offered, r.Relayed, 100*r.Loss)
		fmt.Fprintf(w, "  of one core\t%.0f\t%.2f of a plain forwarder's %.0f (%s)\n", r.PerCore, r.Ratio, r.Baseline, c.Baseline)
		if c.PPS > 0 {
			fmt.Fprintf(w, "  added delay\t%.0f us\tp99 %.0f us, p99.9 %.0f us\n", r.Added.P50, r.Added.P99, r.Added.P999)
		}
		for _, t := range []struct {
			name string
			*load.Beside
		}{{"TURN server", r.TURN}, {"forwarder", r.Forwarder}} {
			if t.Beside == nil {
				continue
			}
			fmt.Fprintf(w, "  %s\t%.0f\tof one core %.0f: the relay carries %.2f times that\n", t.name, t.Relayed, t.PerCore, t.Ratio)
			if c.PPS > 0 {
				fmt.Fprintf(w, "    added delay\t%.0f us\tp99 %.0f us, p99.9 %.0f us, lost %.2f %%\n", t.Added.P50, t.Added.P99, t.Added.P999, 100*t.Loss)
			}
		}
		if o := r.Overload; o != nil {
			fmt.Fprintf(w, "  %d calls offered\t%d admitted\tthey lost %.2f %%\n", o.Offered, o.Admitted, 100*o.Loss)
		}
	})
}

// ownProcess starts this program once more, with its input and output.
func ownProcess(ctx context.Context, start func(*exec.Cmd) error, args ...string) (io.ReadWriteCloser, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return piped(exec.CommandContext(ctx, exe, args...), start)
}

// piped starts a program with its input and output at hand.
func piped(cmd *exec.Cmd, start func(*exec.Cmd) error) (io.ReadWriteCloser, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return child{in, out, cmd}, start(cmd)
}

// A child ends when its input does.
type child struct {
	io.WriteCloser
	io.Reader
	cmd *exec.Cmd
}

func (c child) Close() error {
	c.WriteCloser.Close()
	return c.cmd.Wait()
}

// serve relays for one connection after the other.
func (c *benchRelayCmd) serve(p *program) error {
	l, err := net.Listen("tcp", c.Serve)
	if err != nil {
		return &linnet.Error{Code: linnet.CodeUsage, Text: err.Error(), Hint: "give an address of this machine and a free port"}
	}
	stop := context.AfterFunc(p.ctx, func() { l.Close() })
	defer stop()
	runtime.GOMAXPROCS(servers)
	p.tell("Relaying for `linnet bench relay --peer %v`. Stop with Ctrl-C.", l.Addr())
	for {
		conn, err := l.Accept()
		if err != nil {
			return p.ctx.Err()
		}
		if err := load.Serve(p.ctx, c.Local, bufio.NewReader(conn), conn); err != nil {
			p.tell("%v: %v", conn.RemoteAddr(), err)
		}
		conn.Close()
	}
}
