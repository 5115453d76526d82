package desire_test

import (
	"encoding/json"
	"testing"

	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// TestPoliciesThatMeet counts policies that contradict each other in one setting, give a field
// each of another, and are outvoted in a third: each counts the devices it reaches, under
// what is the matter there, and each number is a list of as many devices.
func TestPoliciesThatMeet(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		g := h.group("Office", mdm.RootGroup)
		h.join(g, 3)
		e := h.node(nil)
		check := func(body string) policy.Setting {
			return policy.Setting{ID: "script.check/x", Value: json.RawMessage(`{"check":"` + body + `"}`)}
		}
		quick := policy.Setting{ID: "screen.lock", Value: json.RawMessage(`{"enabled":true,"idle_seconds":900,"lock_delay_seconds":0}`)}
		slow := policy.Setting{ID: "screen.lock", Value: json.RawMessage(`{"enabled":true,"idle_seconds":300,"lock_delay_seconds":60}`)}
		first := policy.Assignment{Include: policy.Scope{Groups: []mdm.GroupID{g}}, Priority: 20}
		a := h.policy("A", true, []policy.Setting{check("true"), quick, banner("ours")}, first)
		b := h.policy("B", true, []policy.Setting{check("false"), slow}, first)
		vain := h.policy("Vain", true, []policy.Setting{banner("theirs")}, to(g))
		e.Wake()
		h.settled()
		all := desire.Viewer{All: true}
		want := func(when string, id policy.ID, want desire.Counts) {
			t.Helper()
			n, err := e.PolicyCounts(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			if n[id] != want {
				t.Errorf("%s: %+v, want %+v", when, n[id], want)
			}
			for state, n := range map[manifest.State]int64{
				"": want.Devices, manifest.Applied: want.Applied, manifest.Pending: want.Pending, manifest.Failed: want.Failed, manifest.Conflict: want.Conflict,
			} {
				list, err := e.DevicesOf(t.Context(), id, "", state, all, "", 100)
				if err != nil || int64(len(list)) != n {
					t.Errorf("%s: %d devices are listed as %q, want %d, %v", when, len(list), state, n, err)
				}
			}
		}
		want("A at first", a.ID, desire.Counts{Devices: 3, Pending: 3, Conflict: 3})
		want("B at first", b.ID, desire.Counts{Devices: 3, Pending: 3, Conflict: 3})
		want("outvoted", vain.ID, desire.Counts{Devices: 3, Applied: 3})
		h.report(e, h.devices[0], manifest.Applied)
		h.report(e, h.devices[1], manifest.Failed)
		want("A, reported", a.ID, desire.Counts{Devices: 3, Pending: 1, Failed: 1, Conflict: 3})
		want("B, reported", b.ID, desire.Counts{Devices: 3, Pending: 1, Failed: 1, Conflict: 3})
		_, by, err := e.PolicyStatus(t.Context(), b.ID, all)
		if err != nil || by["script.check/x"] == nil || *by["script.check/x"] != (desire.Counts{Devices: 3, Conflict: 3}) ||
			by["screen.lock"] == nil || *by["screen.lock"] != (desire.Counts{Devices: 3, Applied: 1, Pending: 1, Failed: 1}) {
			t.Errorf("settings of B: %v, %v", by, err)
		}
		h.publish(b.ID, true, slow) // they agree
		e.Wake()
		h.settled()
		for _, d := range h.devices {
			h.report(e, d, manifest.Applied)
		}
		want("A at last", a.ID, desire.Counts{Devices: 3, Applied: 3})
		want("B at last", b.ID, desire.Counts{Devices: 3, Applied: 3})
	})
}

// TestReportInParts lets a device report on one of its settings first: the other waits, on the
// list and in the numbers, and is no fault until something is said of it.
func TestReportInParts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		g := h.group("Office", mdm.RootGroup)
		h.join(g, 2)
		e := h.node(nil)
		p := h.policy("A", true, []policy.Setting{screenLock(300), banner("ours")}, to(g))
		e.Wake()
		h.settled()
		d, all := h.devices[0], desire.Viewer{All: true}
		h.report(e, h.devices[1], manifest.Applied)
		say := func(id manifest.ID) {
			t.Helper()
			m := h.manifest(e, d)
			r := manifest.Report{Generation: m.Generation, Hash: m.Hash, Statuses: []manifest.Status{{ID: id, State: manifest.Applied}}}
			if err := e.Report(t.Context(), d, r); err != nil {
				t.Fatal(err)
			}
		}
		want := func(when string, lock, motd, both desire.Counts) {
			t.Helper()
			n, by, err := e.PolicyStatus(t.Context(), p.ID, all)
			if err != nil || n != both || *by["screen.lock"] != lock || *by["file.content/motd"] != motd {
				t.Errorf("%s: %+v, lock %+v, motd %+v, %v", when, n, by["screen.lock"], by["file.content/motd"], err)
			}
			for state, n := range map[manifest.State]int64{manifest.Pending: motd.Pending, manifest.Applied: motd.Applied} {
				list, err := e.DevicesOf(t.Context(), p.ID, "file.content/motd", state, all, "", 10)
				if err != nil || int64(len(list)) != n {
					t.Errorf("%s: listed as %s: %v, %v", when, state, list, err)
				}
			}
			if faults, err := s.SettingFaults(t.Context(), "file.content/motd", ""); err != nil || len(faults) != 0 {
				t.Errorf("%s: faults %v, %v", when, faults, err)
			}
		}
		well := desire.Counts{Devices: 2, Applied: 2}
		one := desire.Counts{Devices: 2, Applied: 1, Pending: 1}
		say("screen.lock")
		want("in part", well, one, one)
		v, err := e.Device(t.Context(), d)
		if err != nil || len(v.Settings) != 2 || v.Settings[0].State != manifest.Pending || v.Settings[1].State != manifest.Applied {
			t.Errorf("the device: %+v, %v", v, err)
		}
		say("file.content/motd")
		want("whole", well, well, well)
	})
}
