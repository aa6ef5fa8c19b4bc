package http

import (
	"slices"
	"sync"
	"time"
)

// A desk knows the pages that are open, and which of them is the phone: it rings,
// and its microphone and loudspeaker are used. The first page is; another one
// becomes it by taking over, or when the phone is closed. A page that is loaded
// again stays what it was, which it shows by its name.
type desk struct {
	grace time.Duration // how long a page may take to load again; 0 means 4 s

	mu     sync.Mutex
	phone  string // name of the page that is the phone, also while it loads again; "": there is none
	at     *seat  // nil: it is loading
	seats  []*seat
	vacant *time.Timer
}

// A seat is one page that is connected.
type seat struct {
	name  string
	phone chan bool // whether it is the phone now; holds the newest answer
}

func (s *seat) tell(phone bool) {
	select {
	case <-s.phone:
	default:
	}
	s.phone <- phone // there is room: only the desk sends, under its lock
}

// sit takes a page in.
func (d *desk) sit(name string) *seat {
	s := &seat{name: name, phone: make(chan bool, 1)}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seats = append(d.seats, s)
	if d.phone == "" || d.phone == name {
		d.give(s)
	} else {
		s.tell(false)
	}
	return s
}

// rise lets a page go.
func (d *desk) rise(s *seat) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seats = slices.DeleteFunc(d.seats, func(x *seat) bool { return x == s })
	if d.at != s {
		return
	}
	d.at = nil
	grace := d.grace
	if grace == 0 {
		grace = 4 * time.Second
	}
	d.vacant = time.AfterFunc(grace, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.at != nil {
			return
		}
		d.phone = ""
		if len(d.seats) > 0 {
			d.give(d.seats[0])
		}
	})
}

// take makes a page the phone.
func (d *desk) take(s *seat) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == s {
		return
	}
	if d.at != nil {
		d.at.tell(false)
	}
	d.give(s)
}

// give needs the lock.
func (d *desk) give(s *seat) {
	if d.vacant != nil {
		d.vacant.Stop()
	}
	d.phone, d.at = s.name, s
	s.tell(true)
}

// isPhone says whether the page of this name is the phone.
func (d *desk) isPhone(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return name != "" && d.phone == name
}
