package directory

// Sizes are the sizes of the tables that strangers can make grow.
func (s *Supernode) Sizes() map[string]int {
	return map[string]int{
		"records": len(s.store.nodes), "writes": s.writes, "lookups": len(s.lookups), "rates": len(s.rates),
		"pending": len(s.pending), "alarms": s.alarms.Len(), "moves": len(s.moves), "reading": len(s.reading), "done": len(s.done),
	}
}

// Sizes are the sizes of the tables that strangers can make grow.
func (m *Mailbox) Sizes() map[string]int {
	return map[string]int{
		"mail": len(m.shelf.all), "keeping": len(m.keeping), "reading": len(m.reading), "writes": m.writes, "asks": m.asks,
		"rates": len(m.rates), "asked": len(m.sync.asked), "pending": len(m.pending), "alarms": m.alarms.Len(), "queue": len(m.sync.queue),
	}
}
