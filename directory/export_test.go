package directory

// Sizes are the sizes of the tables that strangers can make grow.
func (s *Supernode) Sizes() map[string]int {
	return map[string]int{
		"records": len(s.store.nodes), "writes": s.writes, "lookups": len(s.lookups), "rates": len(s.rates),
		"pending": len(s.pending), "alarms": s.alarms.Len(), "moves": len(s.moves),
	}
}
