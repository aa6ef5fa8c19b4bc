package sim

// sessions are the peers that a node has a session with, each with the life of the
// peer that it was made in. Every command that is sent looks here, so it is
// one flat table, in which the next free place after that of its hash is a peer's.
type sessions struct {
	places []uint64 // peer+1 in the upper half, life in the lower; 0: free
	count  int
}

func (s *sessions) home(peer uint32) int {
	return int(peer*0x9e3779b1>>8) & (len(s.places) - 1)
}

// place is where a peer is, or would be.
func (s *sessions) place(peer uint32) int {
	i := s.home(peer)
	for s.places[i] != 0 && uint32(s.places[i]>>32) != peer+1 {
		i = (i + 1) & (len(s.places) - 1)
	}
	return i
}

func (s *sessions) get(peer uint32) (life uint32, ok bool) {
	if s.count == 0 {
		return 0, false
	}
	x := s.places[s.place(peer)]
	return uint32(x), x != 0
}

func (s *sessions) set(peer, life uint32) {
	if 4*s.count >= 3*len(s.places) {
		old := s.places
		s.places = make([]uint64, max(8, 2*len(old)))
		for _, x := range old {
			if x != 0 {
				s.places[s.place(uint32(x>>32)-1)] = x
			}
		}
	}
	i := s.place(peer)
	if s.places[i] == 0 {
		s.count++
	}
	s.places[i] = uint64(peer+1)<<32 | uint64(life)
}

// remove says whether there was one. Who stood behind the peer because its place
// was taken moves up.
func (s *sessions) remove(peer uint32) bool {
	if _, ok := s.get(peer); !ok {
		return false
	}
	mask := len(s.places) - 1
	hole := s.place(peer)
	for i := (hole + 1) & mask; s.places[i] != 0; i = (i + 1) & mask {
		if home := s.home(uint32(s.places[i]>>32) - 1); (i-home)&mask >= (i-hole)&mask {
			s.places[hole] = s.places[i]
			hole = i
		}
	}
	s.places[hole] = 0
	s.count--
	return true
}
