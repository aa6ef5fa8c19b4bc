package directory

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// askElders answers for a newcomer, which may not have been given everything yet,
// or by members that did not have it themselves. What an elder has is kept.
func (s *Supernode) askElders(now time.Time, user linnet.UserName, elders []linnet.NodeID, hear int, tell func(now time.Time, answer *message.SearchResult)) {
	slot := s.o.SlotOf(user)
	waiting, told := len(elders), false
	search := searchFor(user)
	search.Member, search.Elder = true, true
	s.asking++
	for _, node := range elders {
		s.request(now, node, search, memberWait, func(now time.Time, reply message.Message) {
			waiting--
			hits, absence := s.memberAnswer(now, user, slot, node, reply)
			for _, r := range hits {
				s.put(now, r)
			}
			if absence != nil {
				hear--
			}
			if told || len(hits) == 0 && waiting > 0 {
				return
			}
			told = true
			s.asking--
			answer := &message.SearchResult{Done: 1}
			switch {
			case len(hits) > 0:
				for _, r := range hits {
					answer.Hits = append(answer.Hits, message.Hit{Record: r.raw, User: user})
				}
			case hear <= 0 && s.o.Seats.Seated(now, slot):
				answer = s.ownAbsence(now, user, slot)
			}
			tell(now, answer)
		})
	}
}
