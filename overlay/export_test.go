package overlay

import "time"

// MeanLoad is by what a supernode judges whether there are enough.
func (m *Machine) MeanLoad(now time.Time) int { return m.meanLoad(now) }

// Sizes are the sizes of the tables that strangers can make grow.
func (m *Machine) Sizes() map[string]int {
	return map[string]int{
		"hosts": len(m.hosts.hosts), "sessions": len(m.sessions), "members": len(m.table.members),
		"clients": m.clients.len(), "helped": len(m.swim.helped), "news": len(m.swim.news), "pings": len(m.swim.pings), "sampled": len(m.swim.sampled),
	}
}
