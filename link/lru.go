package link

// An lru remembers at most max values; the one that was not used for longest
// goes first. Values stay where they are: there may be 100,000.
type lru[K comparable, V any] struct {
	max            int
	elems          map[K]*entry[K, V]
	latest, oldest *entry[K, V]
}

type entry[K comparable, V any] struct {
	key          K
	value        V
	later, older *entry[K, V]
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, elems: make(map[K]*entry[K, V])}
}

// get returns nil if there is none.
func (c *lru[K, V]) get(key K) *V {
	e := c.elems[key]
	if e == nil {
		return nil
	}
	c.unlink(e)
	c.link(e)
	return &e.value
}

// add makes a value for a key that has none.
func (c *lru[K, V]) add(key K) *V {
	if len(c.elems) >= c.max {
		c.removeOldest()
	}
	e := &entry[K, V]{key: key}
	c.elems[key] = e
	c.link(e)
	return &e.value
}

// removeOldest returns what it removed, nil if there was nothing.
func (c *lru[K, V]) removeOldest() *V {
	e := c.oldest
	if e == nil {
		return nil
	}
	c.unlink(e)
	delete(c.elems, e.key)
	return &e.value
}

func (c *lru[K, V]) link(e *entry[K, V]) {
	e.older = c.latest
	if c.latest != nil {
		c.latest.later = e
	} else {
		c.oldest = e
	}
	c.latest = e
}

func (c *lru[K, V]) unlink(e *entry[K, V]) {
	if e.later != nil {
		e.later.older = e.older
	} else {
		c.latest = e.older
	}
	if e.older != nil {
		e.older.later = e.later
	} else {
		c.oldest = e.later
	}
	e.later, e.older = nil, nil
}
