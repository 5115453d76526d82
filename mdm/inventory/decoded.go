package inventory

import "sync"

// decodedBytes bounds each half of what is remembered.
const decodedBytes = 8 << 20

// decodedKey names data as it came in: section and SHA-256.
type decodedKey struct{ section, hash string }

// decoded remembers what sections became, as many devices have many of them alike: kernel modules,
// services, settings of an image. What was not asked for in a while goes.
type decoded struct {
	mu       sync.Mutex
	now, old map[decodedKey][]byte
	size     int // of now
}

func (d *decoded) get(k decodedKey) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if data, ok := d.now[k]; ok {
		return data, true
	}
	data, ok := d.old[k]
	if ok {
		d.keep(k, data)
	}
	return data, ok
}

func (d *decoded) put(k decodedKey, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(k, data)
}

func (d *decoded) keep(k decodedKey, data []byte) {
	size := len(data) + len(k.section) + len(k.hash)
	if size > decodedBytes/64 {
		return
	}
	if d.now == nil || d.size+size > decodedBytes {
		d.old, d.now, d.size = d.now, map[decodedKey][]byte{}, 0
	}
	d.now[k] = data
	d.size += size
}
