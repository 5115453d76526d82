package compliance

import (
	"testing"
	"time"

	"handrail/mdm"
)

func TestNumbersStayFresh(t *testing.T) {
	many := Counts{Devices: 2 * manyDevices}
	for name, tt := range map[string]struct {
		kept *counted
		want bool
	}{
		"slow and large":     {&counted{seq: 1, at: time.Now(), took: time.Hour, counts: many}, true},
		"never counted":      {&counted{seq: 1, took: time.Hour, counts: many}, false},
		"other rules":        {&counted{seq: 2, at: time.Now(), took: time.Hour, counts: many}, false},
		"small":              {&counted{seq: 1, at: time.Now(), took: time.Hour, counts: Counts{Devices: 10}}, false},
		"quick":              {&counted{seq: 1, at: time.Now(), took: time.Millisecond, counts: many}, false},
		"older than allowed": {&counted{seq: 1, at: time.Now().Add(-2 * countShare * time.Second), took: time.Second, counts: many}, false},
	} {
		if got := tt.kept.fresh(1); got != tt.want {
			t.Errorf("%s: fresh is %v", name, got)
		}
	}
	var n numbers
	a, b := n.entry(scopeKey(Scope{Groups: []mdm.GroupID{"x", "y"}})), n.entry(scopeKey(Scope{Groups: []mdm.GroupID{"y", "x"}}))
	if a != b || a == n.entry(scopeKey(Scope{All: true})) || a == n.entry(scopeKey(Scope{Groups: []mdm.GroupID{"x"}})) {
		t.Error("scopes share numbers that are not theirs")
	}
}
