package message

// Carrier is where a command may travel; anything else is dropped by whoever receives it.
type Carrier uint8

// Carriers add up.
const (
	Raw     Carrier = 1 << iota // in a type-2 frame, obfuscated and no more
	Stream                      // in a TCP stream outside a session
	Session                     // inside a session
	Old                         // on the old network only: a dissector reads it, no node takes it
)

// Kind is the flag part of a command word (W3.1).
type Kind uint8

// The flags seen on the wire.
const (
	OneWay  Kind = 1
	Request Kind = 2
	Reply   Kind = 3
)

// Spec is one line of the table of commands; its fields are those of Body.
type Spec struct {
	Number   uint16
	Name     string
	Kind     Kind
	Carriers Carrier
	Body     Message // a nil pointer of the command's struct
}

// Table is every command of the network, and those of the old one that it has no
// use for. Numbers below 0x4000 are Skype's and keep their meaning (W5); new ones
// start there. A number may stand here once with each Kind.
var Table = []Spec{
	{6, "ask supernodes", Request, Raw | Session, (*AskSupernodes)(nil)},
	{8, "slot info", Reply, Raw | Session, (*SlotInfo)(nil)},
	{11, "network stats", OneWay, Session, (*NetworkStats)(nil)},
	{12, "store record", Request, Session, (*StoreRecord)(nil)},
	{14, "search", Request, Session, (*Search)(nil)},
	{15, "search result", Reply, Session, (*SearchResult)(nil)},
	{18, "search newer", Request, Old, (*SearchNewer)(nil)},
	{19, "search newer result", Reply, Old, (*SearchNewerResult)(nil)},
	{26, "become supernode", Request, Session, (*BecomeSupernode)(nil)},
	{27, "probe", Request, Raw | Stream, (*Probe)(nil)},
	{28, "probe accepted", Reply, Raw | Stream, (*ProbeAccepted)(nil)},
	{29, "probe refused", Reply, Raw | Stream, (*ProbeRefused)(nil)},
	{30, "attach", Request, Session, (*Attach)(nil)},
	{31, "attached", Reply, Session, (*Attached)(nil)},
	{32, "attach refused", Reply, Session, (*AttachRefused)(nil)},
	{37, "client report", OneWay, Old, (*ClientReport)(nil)},
	{38, "client report end", OneWay, Old, (*ClientReportEnd)(nil)},
	{40, "firewall test", Request, Old, (*FirewallTest)(nil)},
	{41, "connect back", OneWay, Old, (*ConnectBack)(nil)},
	{42, "firewall tester", Reply, Old, (*FirewallTester)(nil)},
	{43, "firewall test started", OneWay, Old, (*FirewallTestStarted)(nil)},
	{44, "ask probe nodes", Request, Old, (*AskProbeNodes)(nil)},
	{45, "probe nodes", Reply, Old, (*ProbeNodes)(nil)},
	{47, "broadcasts", OneWay, Old, (*Broadcasts)(nil)},
	{48, "ask broadcast", Request, Old, (*AskBroadcast)(nil)},
	{53, "forward", OneWay, Session, (*Forward)(nil)},
	{53, "routed ping", Request, Old, (*RoutedPing)(nil)},
	{57, "reach test", Request, Old, (*ReachTest)(nil)},
	{57, "reach test result", Reply, Old, (*ReachTestResult)(nil)},
	{60, "announce", OneWay, Old, (*Announce)(nil)},
	{67, "session request", OneWay, Session, (*SessionRequest)(nil)},
	{67, "old session request", Request, Old, (*OldSessionRequest)(nil)},
	{70, "session answer", OneWay, Session, (*SessionAnswer)(nil)},
	{70, "old session answer", Reply, Old, (*OldSessionAnswer)(nil)},
	{73, "relay reserve", Request, Session, (*RelayReserve)(nil)},
	{74, "relay join", Request, Session, (*RelayJoin)(nil)},
	{75, "relay established", Reply, Session, (*RelayEstablished)(nil)},
	{81, "contact ping", Request, Old, (*ContactPing)(nil)},
	{82, "contact status", Reply, Old, (*ContactStatus)(nil)},
	{84, "relay joined", OneWay, Session, (*RelayJoined)(nil)},
	{92, "relay move", Request, Session, (*RelayMove)(nil)},
	{117, "contact status cache", OneWay, Old, (*ContactStatusCache)(nil)},
	{13016, "installation report", OneWay, Old, (*InstallationReport)(nil)},

	{0x4000, "failure", Reply, Raw | Stream | Session, (*Failure)(nil)},
	{0x4001, "hello", Request, Raw | Stream, (*Hello)(nil)},
	{0x4002, "hello reply", Reply, Raw | Stream, (*HelloReply)(nil)},
	{0x4004, "upgrade 1", OneWay, Session, (*Upgrade1)(nil)},
	{0x4005, "upgrade 2", OneWay, Session, (*Upgrade2)(nil)},
	{0x4006, "upgrade 3", OneWay, Session, (*Upgrade3)(nil)},
	{0x4007, "goodbye", OneWay, Session, (*Goodbye)(nil)},
	{0x4008, "unroutable", OneWay, Session, (*Unroutable)(nil)},

	{0x4100, "detach", OneWay, Session, (*Detach)(nil)},
	{0x4101, "keep-alive", Request, Session, (*KeepAlive)(nil)},
	{0x4102, "keep-alive ack", Reply, Session, (*KeepAliveAck)(nil)},
	{0x4103, "ping", OneWay, Session, (*Ping)(nil)},
	{0x4104, "ping request", OneWay, Session, (*PingRequest)(nil)},
	{0x4105, "pong", OneWay, Session, (*Pong)(nil)},
	{0x4106, "rumours", OneWay, Session, (*Rumours)(nil)},
	{0x4107, "digest", OneWay, Session, (*Digest)(nil)},
	{0x4108, "differ", OneWay, Session, (*Differ)(nil)},
	{0x4109, "promotion", Reply, Session, (*Promotion)(nil)},
	{0x410a, "dial back", OneWay, Session, (*DialBack)(nil)},
	{0x410b, "dial for", OneWay, Session, (*DialFor)(nil)},
	{0x410c, "dial test", Request, Raw, (*DialTest)(nil)},
	{0x410d, "dial tested", Reply, Raw, (*DialTested)(nil)},

	{0x410e, "watch", OneWay, Session, (*Watch)(nil)},
	{0x410f, "gone", OneWay, Session, (*Gone)(nil)},

	{0x4110, "stored", Reply, Session, (*Stored)(nil)},
	{0x4112, "NAT test", Request, Session, (*NATTest)(nil)},
	{0x4113, "NAT tested", Reply, Session, (*NATTested)(nil)},

	{0x4120, "put mail", Request, Session, (*PutMail)(nil)},
	{0x4121, "mail stored", Reply, Session, (*MailStored)(nil)},
	{0x4122, "ask mail", Request, Session, (*AskMail)(nil)},
	{0x4123, "mail", Reply, Session, (*MailBatch)(nil)},
	{0x4124, "offer mail", Request, Session, (*OfferMail)(nil)},
	{0x4125, "mail wanted", Reply, Session, (*MailWanted)(nil)},
	{0x4126, "ask prekeys", Request, Session, (*AskPrekeys)(nil)},
	{0x4127, "prekeys", Reply, Session, (*Prekeys)(nil)},

	{0x4130, "store card", Request, Session, (*StoreCard)(nil)},
	{0x4131, "card stored", Reply, Session, (*CardStored)(nil)},
	{0x4132, "search cards", Request, Session, (*SearchCards)(nil)},
	{0x4133, "ask cards", Request, Session, (*AskCards)(nil)},
	{0x4134, "cards", Reply, Session, (*Cards)(nil)},

	{0x4140, "letter", OneWay, Session, (*Letter)(nil)},
	{0x4141, "typing", OneWay, Session, (*ChatTyping)(nil)},

	{0x4150, "file offer", OneWay, Session, (*FileOffer)(nil)},
	{0x4151, "file answer", OneWay, Session, (*FileAnswer)(nil)},
	{0x4152, "file end", OneWay, Session, (*FileEnd)(nil)},
	{0x4153, "file pause", OneWay, Session, (*FilePause)(nil)},
	{0x4154, "bulk connect", Request, Session, (*BulkConnect)(nil)},
	{0x4155, "bulk connected", Reply, Session, (*BulkConnected)(nil)},

	{0x4201, "call request", OneWay, Session, (*CallRequest)(nil)},
	{0x4202, "call ringing", OneWay, Session, (*CallRinging)(nil)},
	{0x4203, "call answer", OneWay, Session, (*CallAnswer)(nil)},
	{0x4204, "call end", OneWay, Session, (*CallEnd)(nil)},
	{0x4205, "call ended", OneWay, Session, (*CallEnded)(nil)},
	{0x4206, "call hold", OneWay, Session, (*CallHold)(nil)},
	{0x4207, "call tone", OneWay, Session, (*CallTone)(nil)},
	{0x4208, "call alive", OneWay, Session, (*CallAlive)(nil)},
	{0x4209, "media keys", OneWay, Session, (*MediaKeys)(nil)},
	{0x420a, "call receipt", OneWay, Session, (*CallReceipt)(nil)},
	{0x420b, "call transfer", OneWay, Session, (*CallTransfer)(nil)},
	{0x420c, "call transferred", OneWay, Session, (*CallTransferred)(nil)},

	{0x4220, "relay release", OneWay, Session, (*RelayRelease)(nil)},
	{0x4221, "relay vouch", Request, Session, (*RelayVouch)(nil)},
	{0x4222, "relay vouched", Reply, Session, (*RelayVouched)(nil)},
	{0x4223, "path ping", Request, Session, (*PathPing)(nil)},
	{0x4224, "path pong", Reply, Session, (*PathPong)(nil)},

	{0x4301, "login", Request, Stream, (*Login)(nil)},
	{0x4302, "login reply", Reply, Stream, (*LoginReply)(nil)},
	{0x4303, "ask descriptor", Request, Stream, (*AskDescriptor)(nil)},
	{0x4304, "descriptor", Reply, Stream, (*DescriptorIs)(nil)},
}
