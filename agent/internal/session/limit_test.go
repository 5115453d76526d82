package session_test

import (
	"strings"
	"testing"

	"handrail/signaling"
)

func TestSessionsThatAreOverFreeTheirPlace(t *testing.T) {
	d := newDevice(t, nil)
	view := signaling.SetOf(signaling.View)
	granted := func(id signaling.SessionID) {
		t.Helper()
		wait(d.gw, "consent", func(c signaling.SessionConsent) bool { return c.Session == id && c.Granted == view })
	}
	for range 40 { // one after the other: far more than at once
		id := d.begin(view)
		granted(id)
		d.handle(signaling.SessionEnd{Session: id, Reason: "done", By: "Ada"})
	}
	var first signaling.SessionID
	for i := range 16 {
		id := d.begin(view)
		granted(id)
		if i == 0 {
			first = id
		}
	}
	over := d.begin(view)
	e := wait(d.gw, "refusal", func(e signaling.SessionEvent) bool { return e.Session == over })
	if e.Kind != signaling.EventFailed || !strings.Contains(e.Detail, "End one") {
		t.Errorf("the session too many: %+v, want it failed, with what to do", e)
	}
	d.handle(signaling.SessionEnd{Session: first, Reason: "not known as open", By: "gateway"})
	granted(d.begin(view))
}
