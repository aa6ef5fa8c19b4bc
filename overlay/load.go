package overlay

import "time"

// A supernode that has too much to do does less, in this order: it takes no new
// clients, it searches no white pages, it forwards nothing between strangers. It
// goes on looking up for the clients that it has, and it never ends itself: the
// supernodes of 2007 and 2010 did, and each left its load to the next one.
const (
	busyLoad    = 90 // percent: others are not sent here any more
	shedSearch  = 95 // percent of the limits of packets, bytes and memory
	shedForward = 100

	arriveFor = 10 * time.Second
	strainFor = 30 * time.Second // that a measurement of the endpoint counts
)

// Limits bound what a supernode does for others. A zero field means its default.
type Limits struct {
	Clients      int     // attached nodes: 1000
	Invitations  float64 // probes answered with yes, a second, and twice as many at once: Clients / 60, 5 at least and 400 at most, for one core takes 500
	Commands     float64 // a second, of all that come in sessions: 20,000
	Members      int     // supernodes known, dead ones included: 32768
	Sessions     int     // peers whose address is remembered: twice Clients and Members
	Forwards     float64 // messages a second that are forwarded for one client: 50
	ForwardBurst float64 // and at once: 200
}

func (l *Limits) defaults() {
	set(&l.Clients, 1000)
	set(&l.Invitations, min(max(float64(l.Clients)/60, 5), 400))
	set(&l.Commands, 20_000)
	set(&l.Members, 32768)
	set(&l.Sessions, 2*(l.Clients+l.Members))
	set(&l.Forwards, 50)
	set(&l.ForwardBurst, 200)
}

// A Service is something that a supernode does for others and can leave.
type Service uint8

// The services, in the order in which they are left.
const (
	Attaching  Service = iota // of new clients
	Searching                 // of white pages
	Forwarding                // between two strangers
)

// rate counts events by the second.
type rate struct {
	second int64
	count  int // in this second
	last   int // in the one before
}

func (r *rate) add(now time.Time) {
	if s := now.Unix(); s != r.second {
		r.last = 0
		if s == r.second+1 {
			r.last = r.count
		}
		r.second, r.count = s, 0
	}
	r.count++
}

func (r *rate) perSecond(now time.Time) int {
	switch now.Unix() - r.second {
	case 0:
		return max(r.count, r.last)
	case 1:
		return r.count
	}
	return 0
}

// Strain tells what only the endpoint can measure: of the limits of packets,
// bytes, processor and memory, the one that is nearest, in percent. It is to be
// told again at least every 30 s while it matters.
func (m *Machine) Strain(now time.Time, percent int) {
	m.strain, m.strained = percent, now
}

// work is what of the limits of work is used, in percent.
func (m *Machine) work(now time.Time) int {
	w := int(100 * float64(m.commands.perSecond(now)) / m.o.Limits.Commands)
	if now.Sub(m.strained) < strainFor {
		w = max(w, m.strain)
	}
	return w
}

// load is what of the limits is used, in percent.
func (m *Machine) load(now time.Time) uint32 {
	return uint32(max(100*m.clients.len()/m.o.Limits.Clients, m.work(now), 0))
}

// Load is what of this supernode's limits is used, in percent.
func (m *Machine) Load(now time.Time) int { return int(m.load(now)) }

// Sheds says that this supernode has to leave a service at present.
func (m *Machine) Sheds(now time.Time, s Service) bool {
	if m.o.Naive {
		return false
	}
	switch s {
	case Attaching:
		return m.clients.len() >= m.o.Limits.Clients || m.work(now) >= busyLoad
	case Searching:
		return m.work(now) >= shedSearch
	default:
		return m.work(now) >= shedForward
	}
}

// full says that no new client is taken.
func (m *Machine) full(now time.Time) bool {
	return !m.serving() || m.Sheds(now, Attaching) || m.arriving(now)
}

// arriving says that this supernode began just now and has not found the others
// that it heard of: what it says of who exists would be wrong.
func (m *Machine) arriving(now time.Time) bool {
	return m.table.serving < 2 && now.Sub(m.since) < arriveFor && len(m.strangers()) > 0
}
