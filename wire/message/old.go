package message

import "net/netip"

// The commands of this file are known from captures of the old network, and no
// node of this one sends or takes them. They stand in Table with the carrier Old, so
// that their numbers stay theirs and a dissector can name what it reads. What
// was never seen, or has no known meaning, is not listed: unknown ids are
// skipped.

// SearchNewer is a Search with a second condition: a record that changed since
// (command 18).
type SearchNewer struct {
	Terms  []Term   `obj:"5/0"`
	Wanted []uint32 `obj:"6/1"` // FieldUser, FieldTime
}

// SearchNewerResult answers SearchNewer (command 19).
type SearchNewerResult struct {
	Done uint32 `obj:"0/1"`
}

// ClientReport told a supernode about its client (command 37). ClientReportEnd
// followed it (command 38).
type ClientReport struct {
	Bandwidth uint32 `obj:"0/1,opt"`
	Version   string `obj:"3/e,opt"`
	Time      uint32 `obj:"0/f,opt"`
	Language  string `obj:"3/5e,opt"`
}

// ClientReportEnd is empty.
type ClientReportEnd struct{}

// FirewallTest asked a supernode to have somebody connect back (command 40).
type FirewallTest struct{}

// ConnectBack made a node send a datagram and open a stream to Addr (command 41).
type ConnectBack struct {
	Addr netip.AddrPort `obj:"2/11"`
}

// FirewallTester answers FirewallTest (command 42).
type FirewallTester struct {
	Test uint32         `obj:"0/19"`
	Addr netip.AddrPort `obj:"2/11"`
}

// FirewallTestStarted named a test that is under way (command 43).
type FirewallTestStarted struct {
	Test uint32 `obj:"0/19"`
}

// AskProbeNodes asked for nodes against which a NAT can be tested (command 44).
type AskProbeNodes struct {
	Unknown12 uint32 `obj:"0/12"` // 10 in captures
	Unknown13 uint32 `obj:"0/13"` // 7
	Unknown14 uint32 `obj:"0/14"` // 1
}

// ProbeNodes answers AskProbeNodes (command 45): the first of About is about
// the first of Addrs, and so on.
type ProbeNodes struct {
	Addrs []netip.AddrPort `obj:"2/11,opt"`
	About []ProbeNode      `obj:"5/1a,opt"`
}

// ProbeNode is what is known of one of ProbeNodes.
type ProbeNode struct {
	Country string `obj:"3/10,opt"` // "NL"
}

// Broadcasts listed the newest broadcasts to all clients (command 47): the
// first of Versions is that of the first of IDs, and so on.
type Broadcasts struct {
	IDs      []uint32 `obj:"0/0,opt"`
	Versions []uint32 `obj:"0/1,opt"`
}

// AskBroadcast fetched one of Broadcasts (command 48).
type AskBroadcast struct {
	ID uint32 `obj:"0/0"`
}

// RoutedPing was what command 53 carried: a ContactPing through the supernode
// of the person it was for. Forward has the same ids where it has the same
// fields.
type RoutedPing struct {
	Version uint32      `obj:"0/0"` // 2
	Target  OldLocation `obj:"4/1"`
	Inner   uint32      `obj:"0/2"` // 81: the number of the ContactPing
	Ping    ContactPing `obj:"5/3"`
	Unknown uint32      `obj:"0/4,opt"`  // 0x1C in captures
	Status  uint32      `obj:"0/10,opt"` // as in ContactStatus
}

// ContactPing asked whether a contact is there (command 81).
type ContactPing struct {
	Target string      `obj:"3/0"`
	Sender string      `obj:"3/2"`
	Source OldLocation `obj:"4/c"`
}

// ContactStatus answers ContactPing (command 82).
type ContactStatus struct {
	Status  uint32 `obj:"0/1"`     // 2 online, 3 away, 5 do not disturb
	Unknown uint32 `obj:"0/8,opt"` // 10 in captures
}

// ReachTest asked a third party to try an address by UDP (command 57).
type ReachTest struct{}

// ReachTestResult answers ReachTest (command 57).
type ReachTestResult struct {
	Source OldLocation      `obj:"4/0"`
	Addrs  []netip.AddrPort `obj:"2/2"` // the sender's public one, then the one tried
}

// Announce gave the own supernode a new directory record (command 60).
type Announce struct {
	Record []byte `obj:"4/b"`
}

// OldSessionRequest set up a call or chat (command 67). SessionRequest, which
// is one-way, has the same ids where it has the same fields.
type OldSessionRequest struct {
	Callee    string          `obj:"3/0"`
	Caller    OldLocation     `obj:"4/1"`
	Session   uint32          `obj:"0/3"`
	Relays    []OldRelayOffer `obj:"5/7,opt"`
	Challenge uint64          `obj:"1/9,opt"`
	NAT       uint32          `obj:"0/1b,opt"`
}

// OldRelayOffer is one relay of an OldSessionRequest.
type OldRelayOffer struct {
	Session uint32         `obj:"0/3"`
	Addr    netip.AddrPort `obj:"2/8"`
}

// OldSessionAnswer answers OldSessionRequest (command 70).
type OldSessionAnswer struct{}

// ContactStatusCache is what a supernode kept of a user (command 117).
type ContactStatusCache struct {
	User uint32 `obj:"0/2"` // CRC of the name
}

// InstallationReport is what clients of version 5.5 sent home (command 13016).
type InstallationReport struct {
	User    string `obj:"3/4"`
	Version string `obj:"3/d"`
	IP      uint32 `obj:"0/e"`
}
