package load

import (
	"context"
	"io"
	"time"
)

// climb is how many turns' time calls come in; then they stay for one more.
const climb = 5

// overload offers calls to a relay, evenly over the time that they come in, and
// sends the packets of those that it admits.
func (g *generator) overload(ctx context.Context, calls int, dial func(context.Context) (io.ReadWriteCloser, error)) (Overload, error) {
	calls = min(max(calls, 1), maxLegs)
	r, err := g.begin(ctx, plan{Kind: Relay, Legs: calls, Admit: true}, dial)
	if err != nil {
		return Overload{}, err
	}
	defer r.conn.Close()
	g.nextTurn()
	var (
		o         Overload
		tags      []uint32
		due       float64
		sent      uint64
		began     = time.Now()
		last      = began
		offerNext = began
	)
	for socket := 0; time.Since(began) < (climb+1)*g.o.Time && ctx.Err() == nil; {
		now := time.Now()
		if !now.Before(offerNext) && o.Offered < calls {
			n := min(int(float64(calls)*float64(now.Sub(began))/float64(climb*g.o.Time)), calls) - o.Offered
			u, err := r.ask(question{Offer: n})
			if err != nil {
				return o, err
			}
			o.Offered += n
			tags = append(tags, u.Tags...)
			offerNext = now.Add(offerEvery)
		}
		due = min(due+float64(len(tags))*callRate*now.Sub(last).Seconds(), mostLate)
		last = now
		n := min(int(due), g.o.burst())
		if n == 0 {
			g.receive(1)
			continue
		}
		got := g.send(socket, r, tags, n)
		due -= float64(got)
		sent += got
		socket = (socket + 1) % len(g.from)
	}
	g.arrive()
	u, err := r.ask(question{})
	if err != nil {
		return o, err
	}
	o.Admitted = len(tags)
	o.Loss = 1 - float64(u.Packets)/max(float64(sent), 1) // what receivers lose is not the relay's
	return o, ctx.Err()
}

const (
	offerEvery = 100 * time.Millisecond

	// mostLate is how many packets that are late, because the relay was asked
	// meanwhile, are made up for: all at once they would be no voice, but a burst that
	// no queue holds.
	mostLate = 128
)
