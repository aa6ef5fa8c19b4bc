// Package relay carries packets between two nodes that cannot reach each other:
// the relay's half (Server) and its clients' half (Client), side by side.
//
// Neither opens a socket or a session. The node hands commands of sessions to
// Server.Handle and packets of its link to Server.Forward, and sends what they
// return. A relay holds no key, reads no packet and chooses no relay for anybody.
//
// # A reservation
//
//	first side                    relay                    second side
//	RelayReserve {session, tag a} ─▶
//	                ◀─ RelayEstablished {relay, tag A}
//	            the offer {session, relay}, over whatever path there is ─▶
//	                                    ◀─ RelayJoin {relay, session, tag b}
//	                ◀─ RelayJoined         RelayEstablished {relay, tag B} ─▶
//	packet under A ─▶              under b ─▶
//	            ◀─ under a                          ◀─ packet under B
//
// Each side has two tags: the one that it sends under, drawn by the relay, and
// its own, under which the relay passes packets on to it. All tags here are even;
// media goes under tag|1, and the lowest bit passes through. Nothing else of a
// packet changes, and its size stays the same.
//
// # Who may send, and where to
//
// A side is pinned to the origin of its session with the relay. Packets from
// elsewhere are dropped. A command inside that session moves it (RelayMove, or Reserve
// and Join again), and so does the session itself when its client answered a challenge
// at another address. So the relay sends to nobody who
// did not ask for it in a session, and cannot be aimed at a third party. When a
// session ends its side is away until the node is back, or the lifetime is over:
// 60 s after the last packet or command.
package relay

import "net/netip"

// Origin is where packets come from and go to: an address for UDP, or a stream
// of the link. It has the fields of link.Origin, so that one converts to the other.
type Origin struct {
	Addr   netip.AddrPort
	Stream uint64 // 0: UDP
	Socket uint32 // of the link's; packets are relayed from and to 0, its own, alone
}
