package overlay

// Sizes are the sizes of the tables that strangers can make grow.
func (m *Machine) Sizes() map[string]int {
	return map[string]int{
		"hosts": len(m.hosts.hosts), "sessions": len(m.sessions), "members": len(m.table.members),
		"clients": m.clients.len(), "helped": len(m.swim.helped), "news": len(m.swim.news), "pings": len(m.swim.pings),
	}
}
