package store

import (
	"slices"
	"testing"
)

func TestBucketsOfADevice(t *testing.T) {
	h := held{0: 1, 5: 300, 31: 1 << 40}
	got, err := decodeHeld(h.encode())
	if err != nil || got != h {
		t.Errorf("decoded %v, %v", got, err)
	}
	for _, bad := range [][]byte{{32, 1}, {0}, {0, 0x80}} {
		if _, err := decodeHeld(bad); err == nil {
			t.Errorf("%v decodes", bad)
		}
	}
	ids := []int64{1, 2, 5, 400, 1 << 40}
	back, err := decodeIDs(encodeIDs(ids))
	if err != nil || !slices.Equal(back, ids) {
		t.Errorf("decoded %v, %v", back, err)
	}
}
