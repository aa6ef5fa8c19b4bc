package dissect

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"
)

// Text writes explanations for people: a line for each packet, and below it,
// indented, what is in it.
type Text struct {
	w     *bufio.Writer
	color bool
	start time.Time
	named map[netip.AddrPort]string
}

// NewText writes to w, with colours if its reader is a terminal.
func NewText(w io.Writer, color bool) *Text {
	return &Text{w: bufio.NewWriter(w), color: color, named: make(map[netip.AddrPort]string)}
}

// Flush hands over what was written; its error is the first one there was.
func (t *Text) Flush() error { return t.w.Flush() }

const (
	indent    = 8
	textWidth = 118
	maxBlob   = 16 // bytes of a blob that are shown whole
	maxShown  = 8  // objects of a list in a blob
	maxNested = 2  // lists in blobs within one another
)

// Colours of terminals (ECMA-48).
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
	purple = "35"
	cyan   = "36"
)

var kindColors = map[string]string{
	KindCommand: green, KindResend: yellow, KindNack: red, KindConfirm: yellow, KindFragment: green, KindStream: cyan,
	KindLogin: cyan, KindSession: blue, KindMedia: purple, KindUnanswered: red, KindKeepAlive: dim, KindOtherTCP: dim,
	KindOtherUDP: dim, KindConnection: dim,
}

func (t *Text) paint(color, s string) string {
	if !t.color || color == plain {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// Write writes one explanation.
func (t *Text) Write(x *Explanation) {
	t.introduce(x.Src, x.SrcName)
	t.introduce(x.Dst, x.DstName)
	clock := "         -"
	if !x.Time.IsZero() {
		if t.start.IsZero() {
			t.start = x.Time
		}
		clock = fmt.Sprintf("%10.6f", x.Time.Sub(t.start).Seconds())
	}
	ends := "-"
	if x.Src.IsValid() {
		ends = who(x.Src, x.SrcName) + " > " + who(x.Dst, x.DstName)
	}
	head := x.Kind
	if !x.Proven {
		head += "?"
	}
	fmt.Fprintf(t.w, "%6d %s  %-3s %s %5d  %s\n", x.Number, clock, x.Protocol, pad(ends, 37), x.Bytes,
		strings.TrimRight(t.paint(kindColors[x.Kind], pad(head, 12))+x.summary(), " "))
	for i := range x.Commands {
		t.command(&x.Commands[i], indent)
	}
	if x.Stream != nil {
		for i := range x.Stream.Records {
			t.record(&x.Stream.Records[i])
		}
	}
	for _, n := range x.Notes {
		t.line(indent, dim, n)
	}
}

// introduce says whose name a name is, once.
func (t *Text) introduce(a netip.AddrPort, name string) {
	if name != "" && t.named[a] != name {
		t.named[a] = name
		fmt.Fprintln(t.w, t.paint(bold, name+" is "+a.String()))
	}
}

func who(a netip.AddrPort, name string) string {
	switch {
	case name != "":
		return name
	case a.Port() == 0:
		return a.Addr().String()
	}
	return a.String()
}

// pad is %-*s by characters.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// summary is what the line of a packet says behind its kind.
func (x *Explanation) summary() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if f := x.Frame; f != nil {
		switch x.Kind {
		case KindSession, KindMedia:
			add("tag %s", f.Tag)
			if f.Counter != nil {
				add("counter %d, sealed", *f.Counter)
			} else if x.Media == nil {
				add("sealed")
			}
		case KindKeepAlive:
		default:
			add("id %s", f.ID)
		}
		if f.Noise != 0 {
			add("noise %02x", f.Noise)
		}
		switch x.Kind {
		case KindNack:
			add("challenge %s", f.Challenge)
		case KindFragment:
			last := ""
			if f.Last {
				last = ", the last"
			}
			add("part %d of %s%s", f.Part, f.Group, last)
		}
		if f.Key != "" {
			add("key: %s", f.Key)
		}
	}
	if m := x.Media; m != nil {
		add("%s", m)
	}
	if s := x.Stream; s != nil {
		add("connection %d", s.Connection)
		if x.Kind != KindConnection {
			add("byte %d from the %s", s.Offset, s.From)
		}
		if s.Event != "" {
			add("%s %s", s.From, s.Event)
		}
		if o := s.Opening; o != nil {
			add("opening: seed %s, word %s", o.Seed, o.Word)
		}
		if s.Waiting > 0 {
			add("%d bytes wait for the rest", s.Waiting)
		}
	}
	if x.Answers != nil {
		add("%s", x.Answers)
	}
	return strings.Join(parts, ", ")
}

// String is the header in words.
func (m *Media) String() string {
	if m.Protocol == "srtcp" {
		return fmt.Sprintf("SRTCP type %d of %s, sealed", m.PayloadType, m.SSRC)
	}
	return fmt.Sprintf("SRTP %s #%d, time %d, type %d, sealed", m.SSRC, m.Sequence, m.Timestamp, m.PayloadType)
}

// String says what was answered, and after how long.
func (l *Link) String() string {
	s := fmt.Sprintf("%s %d", l.How, l.Number)
	if l.What != "" {
		s += " (" + l.What + ")"
	}
	if l.MS != 0 {
		s += fmt.Sprintf(" after %.1f ms", l.MS)
	}
	if l.Sent > 1 {
		s += fmt.Sprintf(", sent %d times", l.Sent)
	}
	return s
}

func (t *Text) record(r *Record) {
	parts := []string{r.Kind}
	if r.Packet != "" {
		parts[0] += " " + r.Packet
	}
	if r.Tag != "" {
		parts = append(parts, "tag "+r.Tag)
	}
	switch {
	case r.Counter != nil:
		parts = append(parts, fmt.Sprintf("counter %d, sealed", *r.Counter))
	case r.Media != nil:
		parts = append(parts, r.Media.String())
	case r.Tag != "":
		parts = append(parts, "sealed")
	}
	if r.Answers != nil {
		parts = append(parts, r.Answers.String())
	}
	fmt.Fprintf(t.w, "%*s%s\n", indent, "", fmt.Sprintf("%s, %d bytes", strings.Join(parts, ", "), r.Bytes))
	for i := range r.Commands {
		t.command(&r.Commands[i], indent+2)
	}
	if len(r.Fields) > 0 {
		t.line(indent+2, plain, strings.Join(fieldWords(r.Fields, 0), ", "))
	}
	for _, n := range r.Notes {
		t.line(indent+2, dim, n)
	}
}

func (t *Text) command(c *Command, indent int) {
	number := fmt.Sprint(c.Number)
	if c.Number >= firstOwn {
		number = fmt.Sprintf("0x%04X", c.Number)
	}
	parts := []string{" " + number, c.Kind}
	if c.ID != "" {
		parts[1] += " " + c.ID
	}
	if c.Packed {
		parts = append(parts, "packed")
	}
	if c.Answers != nil {
		parts = append(parts, c.Answers.String())
	}
	fmt.Fprintf(t.w, "%*s%s%s, %d bytes\n", indent, "", t.paint(bold, c.Name), strings.Join(parts, ", "), c.Bytes)
	if len(c.Fields) > 0 {
		t.line(indent+2, plain, strings.Join(fieldWords(c.Fields, 0), ", "))
	}
	if c.Error != "" {
		t.line(indent+2, red, c.Error)
	}
	for _, n := range c.Notes {
		t.line(indent+2, dim, n)
	}
}

// line writes text in as many lines as it needs, broken at spaces.
func (t *Text) line(indent int, color, text string) {
	var b strings.Builder
	width := 0
	for word := range strings.SplitSeq(text, " ") {
		n := utf8.RuneCountInString(word)
		if width > 0 && indent+width+1+n > textWidth {
			fmt.Fprintf(t.w, "%*s%s\n", indent, "", t.paint(color, b.String()))
			b.Reset()
			width = 0
		}
		if width > 0 {
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	fmt.Fprintf(t.w, "%*s%s\n", indent, "", t.paint(color, b.String()))
}

// fieldWords are the fields of a list, a word each, in the notation of objlist
// with the names of docs/protocol.md. Long blobs are cut; JSON has them whole.
func fieldWords(fields []Field, nested int) []string {
	shown := fields
	if nested > 0 && len(shown) > maxShown {
		shown = shown[:maxShown]
	}
	words := make([]string, 0, len(shown)+1)
	for i := range shown {
		words = append(words, shown[i].word(nested))
	}
	if n := len(fields) - len(shown); n > 0 {
		words = append(words, fmt.Sprintf("%d more", n))
	}
	return words
}

func (f *Field) word(nested int) string {
	name := f.Object
	if f.Name != "" {
		name += " " + f.Name
	}
	if f.Fields != nil && f.text == "" { // a list as such
		return name + "={" + strings.Join(fieldWords(f.Fields, nested), ", ") + "}"
	}
	value := f.text
	if f.blob > maxBlob {
		value = fmt.Sprintf("%s..(%d)", value[:1+maxBlob], f.blob)
	}
	if f.Fields != nil && nested < maxNested { // a list in a blob
		value = fmt.Sprintf("(%d){%s}", f.blob, strings.Join(fieldWords(f.Fields, nested+1), ", "))
	}
	return name + "=" + value
}
