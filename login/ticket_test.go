package login

import (
	"errors"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

func (n *network) ticket(name string) []byte {
	n.t.Helper()
	ticket, err := n.accounts.CreateTicket(n.t.Context(), name, time.Now().Add(time.Hour))
	if err != nil {
		n.t.Fatal(err)
	}
	return ticket
}

// Whoever may register people, a machine needs a ticket.
func TestTicket(t *testing.T) {
	for _, registration := range []suite.Registration{suite.RegistrationOpen, suite.RegistrationInvite, suite.RegistrationClosed} {
		t.Run(string(registration), func(t *testing.T) {
			n := newNetwork(t, registration, ServerOptions{})
			ticket, keys := n.ticket("eagle"), newKeys(t)
			if name, ok := TicketName(ticket); name != "eagle" || !ok {
				t.Fatalf("the ticket is for %q, %v", name, ok)
			}
			n.lose = 1
			if _, err := n.client().Enlist(t.Context(), ticket, keys); linnet.CodeOf(err) != linnet.CodeNoNetwork {
				t.Fatalf("lost answer: %v", err)
			}
			g, err := n.client().Enlist(t.Context(), ticket, keys)
			if err != nil {
				t.Fatalf("again, as the answer was lost: %v", err)
			}
			if c := g.Certificate; c.User != linnet.NodeName("eagle") || c.Device != "eagle" {
				t.Errorf("certificate of %s, %s", c.User, c.Device)
			}
			if _, err := n.client().Enlist(t.Context(), ticket, newKeys(t)); !errors.Is(err, ErrInvite) {
				t.Errorf("another machine with a used ticket: %v", err)
			}
		})
	}
}

func TestTicketIsForOneMachine(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	ticket := n.ticket("eagle")
	invite, err := n.accounts.CreateInvite(t.Context(), 1, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name         string
		user, device string
		token        []byte
		want         uint32
	}{
		{"another name", "node:hawk", "hawk", ticket, message.FailureInvite},
		{"another device name", "node:eagle", "hawk", ticket, message.FailureInvalid},
		{"an invite for people", "node:eagle", "eagle", invite, message.FailureInvite},
		{"no ticket", "node:eagle", "eagle", nil, message.FailureInvite},
		{"no name", "node:", "eagle", ticket, message.FailureInvalid},
		{"too long", "node:eagle", "eagle", make([]byte, suite.MaxInviteToken+1), message.FailureInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, open := n.seal(newKeys(t), func(b *message.LoginBody) {
				b.Action, b.User, b.Device, b.Token = message.ActionRegister, linnet.UserName(tt.user), tt.device, tt.token
				b.Nonce[0] = byte(len(tt.name))
			})
			switch answer := n.server.Handle(t.Context(), n.from, m).(type) {
			case *message.Failure:
				if answer.Code != tt.want {
					t.Errorf("failure %d, want %d", answer.Code, tt.want)
				}
			case *message.LoginReply:
				var r message.LoginResult
				if b, err := open(answer.Sealed); err != nil || message.Unmarshal(b, &r) != nil || r.Failure == nil || r.Failure.Code != tt.want {
					t.Errorf("%+v, %v; want failure %d", r, err, tt.want)
				}
			}
		})
	}
	// None of this has used it up.
	if _, err := n.client().Enlist(t.Context(), ticket, newKeys(t)); err != nil {
		t.Error(err)
	}
}

func TestTicketLetsNobodyRegister(t *testing.T) {
	n := newNetwork(t, suite.RegistrationInvite, ServerOptions{})
	who := who("alice", "secret")
	who.Token = n.ticket("eagle")
	if _, err := n.client().Register(t.Context(), who, newKeys(t)); !errors.Is(err, ErrInvite) {
		t.Errorf("a person with a machine's ticket: %v", err)
	}
}

func TestTicketOfAStrangeName(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	for _, name := range []string{"", "x", "Eagle", "node:eagle", "two words", "a-name-that-is-longer-than-any-user-name"} {
		if _, err := n.accounts.CreateTicket(t.Context(), name, time.Now().Add(time.Hour)); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := n.client().Enlist(t.Context(), make([]byte, tokenSize), newKeys(t)); !errors.Is(err, ErrTicket) {
		t.Errorf("an invite for people: %v", err)
	}
}

func TestTicketExpires(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	ticket := n.ticket("eagle")
	early := newKeys(t)
	if _, err := n.client().Enlist(t.Context(), ticket, early); err != nil {
		t.Fatal(err)
	}
	late := n.ticket("hawk")
	n.pass(2 * time.Hour)
	if _, err := n.client().Enlist(t.Context(), late, newKeys(t)); !errors.Is(err, ErrInvite) {
		t.Errorf("expired: %v", err)
	}
	// Known keys are no ticket.
	if _, err := n.client().Enlist(t.Context(), ticket, early); !errors.Is(err, ErrInvite) {
		t.Errorf("expired, of a machine that had used it: %v", err)
	}
}

// A machine keeps its place without its operator, and without its ticket.
func TestMachineRenewsItsCertificate(t *testing.T) {
	n := newNetwork(t, suite.RegistrationClosed, ServerOptions{})
	keys := newKeys(t)
	g, err := n.client().Enlist(t.Context(), n.ticket("eagle"), keys)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		n.pass(20 * 24 * time.Hour)
		renewed, err := n.client().Renew(t.Context(), g.Signed, keys)
		if err != nil {
			t.Fatal(err)
		}
		if renewed.Certificate.NodeID() != g.Certificate.NodeID() || !renewed.Certificate.Expires.After(g.Certificate.Expires) {
			t.Errorf("renewed %+v, was %+v", renewed.Certificate, g.Certificate)
		}
		g = renewed
	}
	if _, err := n.accounts.Revoke(t.Context(), linnet.NodeName("eagle"), "eagle", n.now()); err != nil {
		t.Fatal(err)
	}
	n.pass(20 * 24 * time.Hour)
	if _, err := n.client().Renew(t.Context(), g.Signed, keys); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked by the operator: %v", err)
	}
}
