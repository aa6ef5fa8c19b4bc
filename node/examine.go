package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Bounds of one look at what stands between a node and the network.
const (
	examined    = 5 // supernodes that are tried
	examineWait = 5 * time.Second
)

// Examine looks at a node that does not run: its home, and the network from here.
func Examine(ctx context.Context, opts Options) ([]linnet.Finding, error) {
	n, err := Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer n.store.Close()
	ctx, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { n.link.Run(ctx) })
	defer group.Wait()
	defer stop()
	return n.examine(ctx), nil
}

// Examine implements linnet.Client.
func (n *Node) Examine(ctx context.Context) ([]linnet.Finding, error) {
	list := n.examine(ctx)
	err := n.do(ctx, func(time.Time) {
		if n.station != nil {
			list = append(list, n.station.examine()...)
		}
	})
	return list, err
}

func good(about, format string, args ...any) linnet.Finding {
	return linnet.Finding{About: about, State: linnet.VerdictGood, Text: fmt.Sprintf(format, args...)}
}

func wrong(about string, v linnet.Verdict, text, do string) linnet.Finding {
	return linnet.Finding{About: about, State: v, Text: text, Do: do}
}

// failed is a finding of an error for people.
func failed(about string, err error, do string) linnet.Finding {
	text := err.Error()
	if e, ok := errors.AsType[*linnet.Error](err); ok {
		text = e.Text
		if e.Hint != "" {
			do = e.Hint
		}
	}
	return wrong(about, linnet.VerdictBad, text, do)
}

// examine looks at what needs no station.
func (n *Node) examine(ctx context.Context) []linnet.Finding {
	list := []linnet.Finding{n.examineDisk(ctx)}
	d := n.network.get()
	if d == nil {
		return append(list, wrong("network", linnet.VerdictBad, "this node belongs to no network yet", "start it with `linnet up --join INVITE`"))
	}
	list = append(list, good("network", "%s (suite %s)", d.Name, d.Suite))
	var servers, clock, supernodes linnet.Finding
	var group sync.WaitGroup
	group.Go(func() { servers, clock = n.examineLogin(ctx, d) })
	group.Go(func() { supernodes = n.examineSupernodes(ctx, d) })
	group.Wait()
	return append(list, supernodes, servers, clock, n.examineCertificate(ctx, d))
}

func (n *Node) examineDisk(ctx context.Context) linnet.Finding {
	const about, do = "disk", "check the directory and its disk"
	err := n.CheckDisk(ctx)
	if err == nil {
		err = n.store.Check(ctx)
	}
	if err == nil {
		err = n.store.TryWriting(ctx)
	}
	if err != nil {
		return failed(about, err, do)
	}
	return good(about, "%s can be written and has room", n.opts.Home)
}

// examineLogin asks the login servers, and one of them for the time.
func (n *Node) examineLogin(ctx context.Context, d *suite.Descriptor) (servers, clock linnet.Finding) {
	ctx, cancel := context.WithTimeout(ctx, 2*examineWait)
	defer cancel()
	clock = wrong("clock", linnet.VerdictUnknown, "no login server says what time it is", "compare the clock of this machine with another one")
	if _, _, err := login.FetchDescriptor(ctx, n.exchange, d.LoginServers, d.Fingerprint(), nil); err != nil {
		// Who is signed in calls all the same.
		servers = failed("login server", err, "")
		servers.State = linnet.VerdictWarning
		return servers, clock
	}
	servers = good("login server", "answers")
	if d.Suite == suite.ClassicName {
		clock.Text = "the login servers of classic networks do not look at it"
		return servers, clock
	}
	switch err := n.loginClient(d).CheckClock(ctx); linnet.CodeOf(err) {
	case linnet.CodeClock:
		clock = failed("clock", err, "")
	case linnet.CodeFailed:
		clock = good("clock", "the login server agrees with it")
	}
	return servers, clock
}

// examineSupernodes tries the first supernodes of the network, by UDP and by TCP.
func (n *Node) examineSupernodes(ctx context.Context, d *suite.Descriptor) linnet.Finding {
	const about = "supernodes"
	ctx, cancel := context.WithTimeout(ctx, examineWait)
	defer cancel()
	var mu sync.Mutex
	var udp, tcp []netip.AddrPort // that answered
	var refused error             // by this machine itself
	note := func(list *[]netip.AddrPort, addr netip.AddrPort, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			*list = append(*list, addr)
		} else if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			refused = err
		}
	}
	hosts := slices.Clone(d.Supernodes)
	hosts = hosts[:min(len(hosts), examined)]
	var group sync.WaitGroup
	for _, h := range hosts {
		group.Go(func() {
			_, err := n.link.Request(ctx, h.Addr, &message.Probe{})
			note(&udp, h.Addr, err)
		})
		group.Go(func() {
			stream, err := n.link.Dial(ctx, h.Addr)
			if err == nil {
				n.link.Close(stream)
			}
			note(&tcp, h.Addr, err)
		})
	}
	group.Wait()
	switch {
	case len(udp) > 0 && len(udp)+examinedMissing >= len(hosts):
		return good(about, "%d of %d answer by UDP, %d by TCP", len(udp), len(hosts), len(tcp))
	case len(udp) > 0:
		return wrong(about, linnet.VerdictWarning, fmt.Sprintf("only %d of %d answer", len(udp), len(hosts)), "nothing, if the node is online; its network's operator may want to know")
	case refused != nil:
		return wrong(about, linnet.VerdictBad, fmt.Sprintf("this machine lets nothing out to them: %v", refused), "let the firewall of this machine pass what linnet sends, UDP and TCP")
	case len(tcp) > 0:
		return wrong(about, linnet.VerdictWarning, fmt.Sprintf("UDP is blocked: %d of %d answer, but by TCP alone", len(tcp), len(hosts)),
			"let UDP out through the firewall of this machine or network; until then all calls go over relays")
	}
	return wrong(about, linnet.VerdictBad, fmt.Sprintf("none of %d answers, by UDP or TCP", len(hosts)), "check the connection of this machine and its firewall; if others are online, ask whoever runs their network")
}

// examinedMissing is how many supernodes may be down without a word.
const examinedMissing = 1

func (n *Node) examineCertificate(ctx context.Context, d *suite.Descriptor) linnet.Finding {
	const about = "certificate"
	id, err := n.store.Identity(ctx)
	switch {
	case err != nil:
		return failed(about, err, "check the directory and its disk")
	case id == nil || len(id.Certificate) == 0:
		return wrong(about, linnet.VerdictBad, "nobody is signed in", "`linnet register NAME`, or `linnet login NAME`")
	}
	now := time.Now()
	cert, err := d.OpenCertificate(id.Certificate, now)
	again := fmt.Sprintf("`linnet login %s`", id.User)
	switch {
	case errors.Is(err, suite.ErrExpired):
		return wrong(about, linnet.VerdictBad, fmt.Sprintf("that of %s has expired, if the clock is right", id.User), again)
	case err != nil:
		return wrong(about, linnet.VerdictBad, fmt.Sprintf("that of %s is not valid: %v", id.User, err), "check the clock; else "+again)
	case now.After(login.RenewAt(cert).Add(maintainLate)):
		return wrong(about, linnet.VerdictWarning, fmt.Sprintf("that of %s ends on %s and could not be renewed", id.User, cert.Expires.Local().Format(time.DateTime)),
			"let the node run while a login server can be reached")
	}
	return good(about, "that of %s is good until %s", id.User, cert.Expires.Local().Format(time.DateTime))
}

// maintainLate is how late a renewal may be without anything being wrong.
const maintainLate = 24 * time.Hour

// examine looks at the node as it stands.
func (s *station) examine() []linnet.Finding {
	attached := len(s.overlay.Attachments())
	online := good("online", "attached to %d of %d known supernodes", attached, s.overlay.Supernodes())
	if attached == 0 {
		online = failed("online", s.offlineError(), "")
	}
	list := []linnet.Finding{online}
	if v := s.volunteerStatus(time.Now()); v != nil && v.Agreed {
		reached := good("reachable", "strangers get through to this machine")
		if !v.Reachable {
			reached = wrong("reachable", linnet.VerdictWarning, "strangers do not get through to this machine, so that it cannot serve as a supernode: "+v.Why,
				fmt.Sprintf("let UDP and TCP to port %d in through firewall and router", s.node.Addr().Port()))
		}
		list = append(list, reached)
	}
	return list
}
