package frame

import (
	"container/list"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Limits of what travels in fragments.
const (
	MaxPayload = 64 << 10 // plain commands
	MaxParts   = 128
)

// ErrPayload says that commands do not fit into one set of fragments.
var ErrPayload = errors.New("frame: commands are too long even for fragments")

// Split cuts plain commands into fragments with at most size bytes of body.
// All have the id, which is also their group. Bodies share payload's memory;
// the sender gives each fragment its own IV and CRC and hides a copy of it.
func Split(id uint16, payload []byte, size int) ([]Frame, error) {
	if size <= 0 || len(payload) == 0 || len(payload) > MaxPayload || len(payload) > MaxParts*size {
		return nil, ErrPayload
	}
	parts := make([]Frame, 0, (len(payload)+size-1)/size)
	for len(payload) > 0 {
		n := min(size, len(payload))
		parts = append(parts, Frame{
			ID: id, Type: Fragment, Group: id, Part: uint8(len(parts)),
			Last: n == len(payload), Body: payload[:n:n],
		})
		payload = payload[n:]
	}
	return parts, nil
}

// Limits bounds a Reassembly. The zero value means the defaults.
type Limits struct {
	PerPeer int           // unfinished payloads, default 4
	Total   int           // bytes of memory for all peers, default 16 MiB
	Age     time.Duration // of an unfinished payload, default 10 s
}

func (l Limits) withDefaults() Limits {
	if l.PerPeer == 0 {
		l.PerPeer = 4
	}
	if l.Total == 0 {
		l.Total = 16 << 20
	}
	if l.Age == 0 {
		l.Age = 10 * time.Second
	}
	return l
}

// Reassembly puts fragments together again. It holds what peers sent in part,
// within its Limits: a peer that begins too many payloads loses its own oldest
// one; when the memory is used up, fragments are refused until others expire.
//
// Fragments belong here after they were shown and their CRC was checked.
type Reassembly struct {
	limits Limits
	size   int
	byAge  list.List                          // of *set, the oldest first
	peers  map[netip.AddrPort][]*list.Element // of byAge, at most limits.PerPeer each
}

// set is one unfinished payload.
type set struct {
	peer    netip.AddrPort
	group   uint16
	parts   [][]byte // by number; nil where not there yet, the highest one is
	missing int      // of parts
	whole   bool     // the last part was seen: parts has its final length
	payload int      // bytes of it so far
	size    int      // that count against Limits.Total
	expires time.Time
}

// What a set and each part in it cost besides the bytes, so that many small
// parts are no cheaper way to fill the memory than few large ones.
const (
	setCost  = 256
	partCost = 48
)

// NewReassembly makes an empty Reassembly.
func NewReassembly(l Limits) *Reassembly {
	return &Reassembly{limits: l.withDefaults(), peers: make(map[netip.AddrPort][]*list.Element)}
}

// Why a fragment is dropped.
var (
	ErrFragment = errors.New("frame: fragments contradict each other")
	ErrFull     = errors.New("frame: too many unfinished payloads")
)

// Add takes a fragment, copies its body, and returns the payload if that was
// what was missing; payload is nil otherwise. A fragment that is there already
// is ignored. Fragments that contradict each other end their payload.
func (r *Reassembly) Add(now time.Time, peer netip.AddrPort, f Frame) (payload []byte, err error) {
	r.Expire(now)
	elem := r.find(peer, f.Group)
	if elem == nil {
		if elem, err = r.begin(now, peer, f.Group); err != nil {
			return nil, err
		}
	}
	s, part := elem.Value.(*set), int(f.Part)
	if part < len(s.parts) && s.parts[part] != nil {
		return nil, nil
	}
	if part >= MaxParts || s.payload+len(f.Body) > MaxPayload ||
		s.whole && part >= len(s.parts) || f.Last && part < len(s.parts) {
		r.remove(elem)
		return nil, ErrFragment
	}
	cost := len(f.Body) + partCost*max(0, part+1-len(s.parts))
	if r.size+cost > r.limits.Total {
		return nil, ErrFull
	}
	r.size += cost
	s.size += cost
	for len(s.parts) <= part {
		s.parts = append(s.parts, nil)
		s.missing++
	}
	s.parts[part] = append([]byte{}, f.Body...)
	s.missing--
	s.payload += len(f.Body)
	s.whole = s.whole || f.Last
	if !s.whole || s.missing > 0 {
		return nil, nil
	}
	r.remove(elem)
	return slices.Concat(s.parts...), nil
}

// Expire forgets payloads that are too old. Add does it too; call Expire now
// and then where fragments may stop coming.
func (r *Reassembly) Expire(now time.Time) {
	for elem := r.byAge.Front(); elem != nil && !now.Before(elem.Value.(*set).expires); elem = r.byAge.Front() {
		r.remove(elem)
	}
}

// Size is how many bytes count against Limits.Total now.
func (r *Reassembly) Size() int { return r.size }

func (r *Reassembly) find(peer netip.AddrPort, group uint16) *list.Element {
	for _, elem := range r.peers[peer] {
		if elem.Value.(*set).group == group {
			return elem
		}
	}
	return nil
}

func (r *Reassembly) begin(now time.Time, peer netip.AddrPort, group uint16) (*list.Element, error) {
	if sets := r.peers[peer]; len(sets) >= r.limits.PerPeer {
		r.remove(sets[0])
	}
	if r.size+setCost > r.limits.Total {
		return nil, ErrFull
	}
	elem := r.byAge.PushBack(&set{peer: peer, group: group, size: setCost, expires: now.Add(r.limits.Age)})
	r.peers[peer] = append(r.peers[peer], elem)
	r.size += setCost
	return elem, nil
}

func (r *Reassembly) remove(elem *list.Element) {
	s := r.byAge.Remove(elem).(*set)
	r.size -= s.size
	sets := r.peers[s.peer]
	i := slices.Index(sets, elem)
	if sets = slices.Delete(sets, i, i+1); len(sets) > 0 {
		r.peers[s.peer] = sets
	} else {
		delete(r.peers, s.peer)
	}
}
