package directory_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

// liar makes what a supernode sends something else.
func liar(w *network, who *overlaytest.Node, lie func(msg message.Message) message.Message) {
	w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
		if from == who {
			return lie(msg)
		}
		return msg
	}
}

func TestLiarIsOutvoted(t *testing.T) {
	type setup struct {
		*network
		alice, bob *overlaytest.Node
		old        []byte // bob's record before he moved
	}
	lies := map[string]func(s setup) func(message.Message) message.Message{
		"says nothing": func(setup) func(message.Message) message.Message {
			return func(msg message.Message) message.Message {
				if _, ok := msg.(*message.SearchResult); ok {
					return nil
				}
				return msg
			}
		},
		"says there is nobody": func(setup) func(message.Message) message.Message {
			return func(msg message.Message) message.Message {
				if r, ok := msg.(*message.SearchResult); ok {
					return &message.SearchResult{Done: 1, Absent: r.Absent}
				}
				return msg
			}
		},
		"says that he is offline": func(s setup) func(message.Message) message.Message {
			return func(msg message.Message) message.Message {
				if _, ok := msg.(*message.SearchResult); ok {
					return &message.SearchResult{Done: 1, Hits: []message.Hit{{Record: s.old, User: "bob"}}}
				}
				return msg
			}
		},
		"alters the record": func(setup) func(message.Message) message.Message {
			return func(msg message.Message) message.Message {
				if r, ok := msg.(*message.SearchResult); ok && len(r.Hits) > 0 {
					record := bytes.Clone(r.Hits[0].Record)
					record[len(record)/2] ^= 1
					r.Hits[0].Record = record
				}
				return msg
			}
		},
		"forges a record": func(s setup) func(message.Message) message.Message {
			mallory := s.Identity("mallory", "device")
			r := directory.Record{
				Certificate: mallory.Certificate, Location: message.Location{Node: mallory.Node, Supernodes: s.bob.Machine.Attachments()},
				Online: true, Sequence: 1 << 62, Time: s.Now,
			}
			forged, err := r.Sign(mallory.Keys)
			if err != nil {
				s.T.Fatal(err)
			}
			return func(msg message.Message) message.Message {
				if r, ok := msg.(*message.SearchResult); ok && len(r.Hits) > 0 {
					r.Hits[0].Record = forged
				}
				return msg
			}
		},
	}
	for name, lie := range lies {
		for _, size := range []int{2, 3, 20} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				w := newNetwork(t, uint64(size))
				w.supernodes(size)
				alice, bob := w.online("alice"), w.online("bob")
				w.devices[bob].Withdraw(w.Now)
				bob.Pump()
				w.Run(time.Second)
				var old []byte
				for n := range w.shelves {
					if b := n.Disk["record "+bob.ID().String()]; b != nil {
						old = b
					}
				}
				w.devices[bob].Publish(w.Now, directory.Status{})
				bob.Pump()
				w.Run(time.Second)
				// The worst place for a liar: the supernode that alice asks first.
				liar(w, w.ByID(alice.Machine.Attachments()[0]), lie(setup{w, alice, bob, old}))
				took := w.mustFind(alice, bob)
				t.Logf("found within %v", took)
			})
		}
	}
}

// One supernode's word is no proof that there is nobody.
func TestAbsenceNeedsWitnesses(t *testing.T) {
	w := newNetwork(t, 21)
	w.supernodes(5)
	alice := w.online("alice")
	var two [][]byte // witnesses, the same ones whoever names them
	w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
		if r, ok := msg.(*message.SearchResult); ok && to == alice && len(r.Absent) > 2 {
			if two == nil {
				two = r.Absent[:2]
			}
			r.Absent = [][]byte{two[0], two[0], two[1]}
		}
		return msg
	}
	// Both supernodes together may still name three; ask only one of them.
	for _, node := range alice.Machine.Attachments()[1:] {
		w.ByID(node).Kill()
	}
	if f, _ := w.lookup(alice, "nobody", true); !errors.Is(f.Err, directory.ErrUnconfirmed) {
		t.Errorf("nobody: %v, want %v", f.Err, directory.ErrUnconfirmed)
	}
}
