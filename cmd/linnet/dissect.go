package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/detect/dissect"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/arith"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

type dissectCmd struct {
	Input []string `arg:"" optional:"" help:"A capture (pcap or pcapng; - is standard input). With --hex datagrams and with --list lists, in hexadecimal; without any the lines of standard input."`

	Hex     bool         `help:"Read datagrams in hexadecimal, each with its addresses before it or without: [SRC > DST] HEX."`
	Public  []netip.Addr `help:"Addresses under which hosts of the capture are known outside their NAT." placeholder:"IP"`
	Network string       `help:"Name the machines of this network: an invite, or the file of a descriptor. --home names those of a node's network." placeholder:"INVITE|FILE"`
	Classic bool         `help:"The network is classic, where the capture does not show it."`
	Port    []uint16     `help:"Print only what comes from or goes to one of these ports."`
	Host    []netip.Addr `help:"Print only what comes from or goes to one of these addresses." placeholder:"IP"`
	Limit   int          `help:"Stop after so many packets were printed; 0 is all." placeholder:"N"`

	List bool   `help:"Print object lists, in hexadecimal." group:"Single things"`
	Pack string `help:"With --list: print the bytes of each list in its plain (41) or packed (42) form." enum:"41,42," default:"" group:"Single things" placeholder:"41|42"`
	Slot string `help:"Print the slot of a user." placeholder:"NAME" group:"Single things"`
	CRC  string `help:"Print the CRC that a frame with these plain bytes has." name:"crc" placeholder:"HEX" group:"Single things"`
}

func (c *dissectCmd) Run(p *program) error {
	switch {
	case c.Slot != "":
		return c.slot(p)
	case c.CRC != "":
		return c.crc(p)
	case c.List || c.Pack != "":
		return c.lists(p)
	}
	return c.capture(p)
}

func (c *dissectCmd) slot(p *program) error {
	name := linnet.UserName(strings.ToLower(c.Slot))
	v := struct {
		Name    linnet.UserName `json:"name"`
		Classic overlay.Slot    `json:"classic"`
		Modern  overlay.Slot    `json:"modern"`
	}{name, overlay.ClassicSlotOf(name), overlay.SlotOf(name)}
	return p.print(v, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "classic\t%d\nmodern\t%d\n", v.Classic, v.Modern)
	})
}

func (c *dissectCmd) crc(p *program) error {
	b, err := dissect.ParseHex(c.CRC)
	if err != nil {
		return linnet.Errorf(linnet.CodeFailed, "%v", err)
	}
	v := struct {
		CRC string `json:"crc"`
	}{fmt.Sprintf("%08x", obfuscate.CRC(b))}
	return p.print(v, func(w *tabwriter.Writer) { fmt.Fprintln(w, v.CRC) })
}

// listView is what --list --json prints for each list.
type listView struct {
	List   string          `json:"list,omitempty"` // in the notation of docs/dissect.md
	Fields []dissect.Field `json:"fields,omitempty"`
	Hex    string          `json:"hex,omitempty"` // with --pack
	Error  string          `json:"error,omitempty"`

	unpackable bool // Hex is the plain form although the packed one was asked for
}

// lists prints a line for each list. One that is broken is told on stderr and
// does not hide the others.
func (c *dissectCmd) lists(p *program) error {
	count, broken := 0, 0
	var reason string
	err := c.eachLine(p.stdin, func(line string) error {
		count++
		v, err := c.list(line)
		if v.unpackable {
			p.tell("list %d has no packed form: an id is lower than the one before, or a value does not fit", count)
		}
		if err != nil {
			broken++
			reason = dissect.Reason(err)
			v.Error = reason
			if len(c.Input) != 1 {
				p.tell("list %d: %s", count, reason)
			}
		}
		switch {
		case p.flags.JSON:
			return p.printJSON(v)
		case err != nil:
			return nil
		case c.Pack != "":
			_, err = fmt.Fprintln(p.stdout, v.Hex)
		default:
			_, err = fmt.Fprintln(p.stdout, v.List)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case broken > 0 && len(c.Input) == 1:
		return linnet.Errorf(linnet.CodeFailed, "%s", reason)
	case broken > 0:
		return linnet.Errorf(linnet.CodeFailed, "%d of %d lists cannot be read", broken, count)
	}
	return nil
}

func (c *dissectCmd) list(line string) (v listView, err error) {
	b, err := dissect.ParseHex(line)
	if err != nil {
		return v, err
	}
	l, err := dissect.ParseList(b)
	if err != nil {
		return v, err
	}
	v.List, v.Fields = l.String(), dissect.Fields(l)
	if c.Pack == "" {
		return v, nil
	}
	packed, err := arith.Append(nil, l)
	v.unpackable = c.Pack == "42" && err != nil
	if c.Pack == "41" || v.unpackable {
		packed = l.Append(nil)
	}
	v.Hex = fmt.Sprintf("%x", packed)
	return v, nil
}

// maxHexLine is a datagram of 64 KiB in hexadecimal, with a space after every byte.
const maxHexLine = 3*64<<10 + 256

// eachLine calls f with every argument, or with every line of in that says something.
func (c *dissectCmd) eachLine(in io.Reader, f func(string) error) error {
	for _, arg := range c.Input {
		if err := f(arg); err != nil {
			return err
		}
	}
	if len(c.Input) > 0 {
		return nil
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxHexLine)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := f(line); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return linnet.Errorf(linnet.CodeBadFile, "a line has more than %d characters", maxHexLine)
	} else if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return nil
}
