package overlay

import "github.com/linnet-p2p/linnet"

// An other is a supernode besides this one that serves a client. Those of the
// same supernode form a ring, so that the clients that have to hear of its death are found
// without a look at all of them.
type other struct {
	node          linnet.NodeID
	client        *client
	next          *other // of the client
	before, after *other // of the ring
}

func (c *client) hasOther(node linnet.NodeID) bool {
	for o := c.others; o != nil; o = o.next {
		if o.node == node {
			return true
		}
	}
	return false
}

// setOthers notes which others serve a client; most often they are the same as before.
func (l *clients) setOthers(c *client, nodes []linnet.NodeID) {
	same, o := true, c.others
	for _, node := range nodes {
		if same = o != nil && o.node == node; !same {
			break
		}
		o = o.next
	}
	if same && o == nil {
		return
	}
	l.dropOthers(c)
	last := &c.others
	for _, node := range nodes {
		if c.hasOther(node) {
			continue
		}
		o := &other{node: node, client: c}
		o.before, o.after = o, o
		if ring := l.byOther[node]; ring != nil {
			o.before, o.after = ring.before, ring
			o.before.after, ring.before = o, o
		} else {
			l.byOther[node] = o
		}
		*last, last = o, &o.next
	}
}

func (l *clients) dropOthers(c *client) {
	for o := c.others; o != nil; o = o.next {
		switch {
		case o.after == o:
			delete(l.byOther, o.node)
		case l.byOther[o.node] == o:
			l.byOther[o.node] = o.after
		}
		o.before.after, o.after.before = o.after, o.before
	}
	c.others = nil
}

// with are the clients that another supernode serves, too.
func (l *clients) with(node linnet.NodeID) (nodes []linnet.NodeID) {
	first := l.byOther[node]
	if first == nil {
		return nil
	}
	nodes = append(nodes, first.client.node)
	for o := first.after; o != first; o = o.after {
		nodes = append(nodes, o.client.node)
	}
	return nodes
}
