package link

import "container/list"

// An lru remembers at most max values; the one that was not used for longest
// goes first.
type lru[K comparable, V any] struct {
	max   int
	elems map[K]*list.Element
	used  list.List // of entry[K, V], the latest first
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, elems: make(map[K]*list.Element)}
}

func (c *lru[K, V]) get(key K) (V, bool) {
	if e := c.elems[key]; e != nil {
		c.used.MoveToFront(e)
		return e.Value.(*entry[K, V]).value, true
	}
	var none V
	return none, false
}

func (c *lru[K, V]) put(key K, value V) {
	if e := c.elems[key]; e != nil {
		e.Value.(*entry[K, V]).value = value
		c.used.MoveToFront(e)
		return
	}
	if len(c.elems) >= c.max {
		c.removeOldest()
	}
	c.elems[key] = c.used.PushFront(&entry[K, V]{key, value})
}

// removeOldest returns what it removed; ok is false if there was nothing.
func (c *lru[K, V]) removeOldest() (value V, ok bool) {
	e := c.used.Back()
	if e == nil {
		return value, false
	}
	old := c.used.Remove(e).(*entry[K, V])
	delete(c.elems, old.key)
	return old.value, true
}
