package login

import (
	"cmp"
	"sync"
	"time"
)

// maxNonces bounds each of the two generations of nonces: about 25 MB in all.
const maxNonces = 1 << 18

// nonces remembers which requests were granted, for as long as their time would
// pass for now. It lives in memory: a repeat that reaches another server, or
// this one after a restart, makes the server do again what it has done, and
// tells whoever repeated it nothing.
type nonces struct {
	mu       sync.Mutex
	new, old map[[nonceSize]byte]struct{}
	turned   time.Time
	limit    int // of each generation; 0 means maxNonces
}

// use says whether the nonce is fresh and has room to be remembered.
func (n *nonces) use(nonce [nonceSize]byte, now time.Time) (fresh, room bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	// A request is taken from maxSkew before its time to maxSkew after it.
	if age := now.Sub(n.turned); n.new == nil || age >= 2*maxSkew {
		n.old = n.new
		if age >= 4*maxSkew {
			n.old = nil
		}
		n.new, n.turned = make(map[[nonceSize]byte]struct{}), now
	}
	_, isNew := n.new[nonce]
	_, isOld := n.old[nonce]
	if isNew || isOld {
		return false, true
	}
	if len(n.new) >= cmp.Or(n.limit, maxNonces) {
		return true, false // to forget one instead would let it be repeated
	}
	n.new[nonce] = struct{}{}
	return true, true
}

// forget is for requests that were refused: what they lead to may be repeated
// freely, and it keeps strangers from filling the memory.
func (n *nonces) forget(nonce [nonceSize]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.new, nonce)
}
