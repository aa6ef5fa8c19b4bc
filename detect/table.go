package detect

// table is a map that forgets what was used least recently when its values
// take more than limit bytes, and hands it to evicted first. What is forgotten
// is used again for new entries, so that a flood of them makes no garbage.
type table[K comparable, V any] struct {
	limit   int // bytes
	evicted func(*entry[K, V])

	entries        map[K]*entry[K, V]
	newest, oldest *entry[K, V]
	spare          *entry[K, V] // linked by older
	bytes          int
}

type entry[K comparable, V any] struct {
	key          K
	value        V
	bytes        int // accounted for, beside entryBytes
	newer, older *entry[K, V]
}

// entryBytes is what an entry costs whatever it holds: the struct, its place
// in the map, and what the allocator rounds up.
const entryBytes = 256

// use returns the entry of key, which becomes the newest, and whether it was
// there before.
func (t *table[K, V]) use(key K) (e *entry[K, V], known bool) {
	e, known = t.entries[key]
	switch {
	case !known:
		if e = t.spare; e != nil {
			t.spare = e.older
		} else {
			e = new(entry[K, V])
		}
		e.key, e.bytes = key, 0
		if t.entries == nil {
			t.entries = make(map[K]*entry[K, V])
		}
		t.entries[key] = e
		t.bytes += entryBytes
	case e == t.newest:
		return e, true
	default:
		t.unlink(e)
	}
	e.newer, e.older = nil, t.newest
	if t.newest != nil {
		t.newest.newer = e
	}
	t.newest = e
	if t.oldest == nil {
		t.oldest = e
	}
	return e, known
}

// grow accounts for bytes more of e, and makes room for them with others.
func (t *table[K, V]) grow(e *entry[K, V], bytes int) {
	e.bytes += bytes
	t.bytes += bytes
	for t.bytes > t.limit && t.oldest != e {
		t.remove(t.oldest)
	}
}

func (t *table[K, V]) remove(e *entry[K, V]) {
	t.unlink(e)
	delete(t.entries, e.key)
	t.bytes -= entryBytes + e.bytes
	t.evicted(e)
	e.newer, e.older = nil, t.spare
	t.spare = e
}

// drain removes everything, the least recently used first.
func (t *table[K, V]) drain() {
	for t.oldest != nil {
		t.remove(t.oldest)
	}
}

func (t *table[K, V]) unlink(e *entry[K, V]) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		t.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		t.oldest = e.newer
	}
}
