package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/detect/dissect"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
)

// errEnough ends the reading where --limit says so.
var errEnough = errors.New("enough was printed")

// capture explains a capture file, or datagrams in hexadecimal.
func (c *dissectCmd) capture(p *program) error {
	options, err := c.options(p)
	if err != nil {
		return err
	}
	in, err := c.open(p)
	if err != nil {
		return err
	}
	defer in.Close()
	d := dissect.New(options)
	out := c.output(p)
	show := func(all []dissect.Explanation) error {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		return out.show(all)
	}
	if c.Hex {
		err = c.datagrams(p, d, show)
	} else {
		err = c.packets(in, d, show)
	}
	if !errors.Is(err, errEnough) && p.ctx.Err() == nil {
		if end := show(d.Close()); !errors.Is(end, errEnough) {
			err = errors.Join(err, end)
		}
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(out.end(d.Summary()), err)
}

// open gives the capture, or the datagrams of standard input.
func (c *dissectCmd) open(p *program) (io.ReadCloser, error) {
	switch {
	case c.Hex:
		return io.NopCloser(p.stdin), nil
	case len(c.Input) != 1:
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: "name one capture file", Hint: "or see `linnet dissect --help`"}
	case c.Input[0] == "-":
		return io.NopCloser(p.stdin), nil
	}
	f, err := os.Open(c.Input[0])
	if err != nil {
		return nil, &linnet.Error{Code: linnet.CodeBadFile, Text: fmt.Sprintf("the capture cannot be opened: %v", err)}
	}
	return f, nil
}

// packets explains a capture file.
func (c *dissectCmd) packets(in io.Reader, d *dissect.Dissector, show func([]dissect.Explanation) error) error {
	r, err := capture.NewReader(in)
	for err == nil {
		var packet *capture.Packet
		if packet, err = r.Next(); err == nil {
			if stop := show(d.Packet(packet)); stop != nil {
				return stop
			}
		}
	}
	if err == io.EOF {
		return nil
	}
	return &linnet.Error{Code: linnet.CodeBadFile, Text: fmt.Sprintf("the capture cannot be read: %s", strings.TrimPrefix(err.Error(), "capture: ")), Err: err}
}

// datagrams explains lines of hexadecimal.
func (c *dissectCmd) datagrams(p *program, d *dissect.Dissector, show func([]dissect.Explanation) error) error {
	var count, broken int64
	err := c.eachLine(p.stdin, func(line string) error {
		count++
		packet, err := dissect.ParseLine(line, count)
		if err != nil {
			broken++
			p.tell("datagram %d: %v", count, err)
			return nil
		}
		return show(d.Packet(packet))
	})
	if err == nil && broken > 0 {
		err = linnet.Errorf(linnet.CodeFailed, "%d of %d datagrams cannot be read", broken, count)
	}
	return err
}

// options is what the command line knows of the network.
func (c *dissectCmd) options(p *program) (dissect.Options, error) {
	o := dissect.Options{Public: c.Public, Names: make(map[netip.AddrPort]string), Classic: c.Classic}
	add := func(d *suite.Descriptor) {
		maps.Copy(o.Names, dissect.Names(d))
		o.Classic = o.Classic || d.Suite == suite.ClassicName
	}
	if home := p.flags.Home; home != "" {
		d, err := networkOf(p, home)
		if err != nil {
			p.tell("machines have no names: %v", err)
		} else {
			add(d)
		}
	}
	if c.Network == "" {
		return o, nil
	}
	if invite, err := suite.ParseInvite(c.Network); err == nil {
		maps.Copy(o.Names, dissect.BootstrapNames(invite))
		return o, nil
	} else if !errors.Is(err, suite.ErrNoInvite) {
		return o, &linnet.Error{Code: linnet.CodeInvite, Text: err.Error()}
	}
	signed, err := os.ReadFile(c.Network)
	if err != nil {
		return o, &linnet.Error{Code: linnet.CodeBadFile, Text: "--network is no invite and no file that can be read", Err: err}
	}
	d, err := dissect.OpenDescriptor(signed)
	if err != nil {
		return o, &linnet.Error{Code: linnet.CodeBadFile, Text: c.Network + " holds no descriptor of a network", Err: err}
	}
	add(d)
	return o, nil
}

// networkOf is the network of a node's home, or of a home that network create made.
func networkOf(p *program, home string) (*suite.Descriptor, error) {
	for _, dir := range []string{home, node.SupernodePath(home, 0)} {
		if _, err := os.Stat(filepath.Join(dir, "linnet.db")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s, err := store.Open(p.ctx, dir)
		if err != nil {
			return nil, err
		}
		defer s.Close()
		n, err := s.Network(p.ctx)
		if err != nil {
			return nil, err
		}
		if n != nil {
			return suite.OpenDescriptor(n.Descriptor, n.Fingerprint)
		}
	}
	return nil, errors.New("no network is known in " + home)
}

// dissection prints what matches the filters.
type dissection struct {
	*program
	cmd     *dissectCmd
	text    *dissect.Text
	live    bool // somebody waits for the next packet
	printed int
}

func (c *dissectCmd) output(p *program) *dissection {
	f, ok := p.stdout.(*os.File)
	color := ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
	return &dissection{program: p, cmd: c, text: dissect.NewText(p.stdout, color), live: len(c.Input) == 0 || c.Input[0] == "-"}
}

func (d *dissection) show(all []dissect.Explanation) error {
	for i := range all {
		x := &all[i]
		if !d.cmd.matches(x) {
			continue
		}
		if d.flags.JSON {
			if err := d.printJSON(x); err != nil {
				return err
			}
		} else {
			d.text.Write(x)
		}
		if d.printed++; d.printed == d.cmd.Limit {
			return errEnough
		}
	}
	if d.live {
		return d.text.Flush()
	}
	return nil
}

// end prints what was counted: for programs as the last line, for people beside the data.
func (d *dissection) end(s dissect.Summary) error {
	if d.flags.JSON {
		return d.printJSON(map[string]dissect.Summary{"summary": s})
	}
	if err := d.text.Flush(); err != nil {
		return err
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(s.Kinds)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", s.Kinds[kind], kind))
	}
	d.tell("%d packets: %s; %d connections; %d sent again, %d unanswered, %d copies passed over",
		s.Packets, strings.Join(kinds, ", "), s.Connections, s.Resent, s.Unanswered, s.Copies)
	return nil
}

// matches says whether the filters let an explanation through.
func (c *dissectCmd) matches(x *dissect.Explanation) bool {
	host := func(a netip.Addr) bool { return a == x.Src.Addr() || a == x.Dst.Addr() }
	port := func(n uint16) bool { return n == x.Src.Port() || n == x.Dst.Port() }
	return (len(c.Host) == 0 || slices.ContainsFunc(c.Host, host)) &&
		(len(c.Port) == 0 || slices.ContainsFunc(c.Port, port))
}
