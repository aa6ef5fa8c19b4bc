package directory

import "github.com/linnet-p2p/linnet/overlay"

// SearchFor is the search that finds a user by name.
var SearchFor = searchFor

// Sizes are the sizes of the tables that strangers can make grow.
func (s *Supernode) Sizes() map[string]int {
	return map[string]int{
		"records": len(s.store.nodes), "writes": s.writes, "lookups": len(s.lookups), "rates": len(s.rates),
		"pending": len(s.pending), "alarms": s.alarms.Len(), "moves": len(s.moves.queue), "reading": len(s.reading), "done": len(s.done), "asking": s.asking,
		"cards": len(s.pages.store.users), "card moves": len(s.pages.moves.queue), "finds": s.pages.finds, "cached": len(s.pages.cached),
		"searches": len(s.pages.searches), "stores": len(s.pages.stores), "asks": len(s.pages.asks),
	}
}

// Sizes are the sizes of the tables that strangers can make grow.
func (m *Mailbox) Sizes() map[string]int {
	return map[string]int{
		"mail": len(m.shelf.all), "keeping": len(m.keeping), "reading": len(m.reading), "writes": m.writes, "asks": m.asks,
		"rates": len(m.rates), "asked": len(m.sync.asked), "pending": len(m.pending), "alarms": m.alarms.Len(), "queue": len(m.sync.queue),
	}
}

// Lots are how many cards are found in each slot.
func (s *Supernode) Lots() map[overlay.Slot]int {
	lots := make(map[overlay.Slot]int)
	for slot, l := range s.pages.store.slots {
		lots[slot] = len(l.cards) - l.former
	}
	return lots
}
