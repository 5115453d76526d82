package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"handrail/mdm/compliance"
)

// TestEntries: what is written by hand is what encoding/json would write, and reads back.
func TestEntries(t *testing.T) {
	at := time.UnixMicro(1795400000000000).UTC()
	for name, entries := range map[string][]compliance.Entry{
		"none":  {},
		"plain": {{Rule: "a", State: compliance.Compliant, Since: at}, {Rule: "b", State: compliance.Unknown, Since: at, Reason: "the device has not reported sshd"}},
		"all": {
			{Rule: "a", State: compliance.InGrace, Since: at, BrokenSince: at.Add(-time.Hour), GraceUntil: at.Add(time.Hour), Evidence: json.RawMessage(`{"x":["]","\"}",{"y":[]}],"z":-1.5}`)},
			{Rule: "b", State: compliance.Waived, Since: at, Waiver: "wvr_1", Evidence: json.RawMessage(`"a, b"`)},
			{Rule: "c", State: compliance.Compliant, Since: at, Evidence: json.RawMessage(`null`)},
		},
		"odd": {
			{Rule: "a", State: compliance.Failed, Since: at, Reason: "it said \"no\\\" <\x01> \u2028 ünd so"},
			{Rule: "é", State: compliance.Failed, Since: time.UnixMicro(-5).UTC(), Reason: `"},{"r":"x`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := encodeEntries(entries)
			if err != nil {
				t.Fatal(err)
			}
			docs := []entryDoc{}
			if err := json.Unmarshal([]byte(doc), &docs); err != nil || len(docs) != len(entries) {
				t.Fatalf("%s: %v", doc, err)
			}
			if want, _ := json.Marshal(docs); string(want) != doc {
				t.Errorf("wrote %s\nwant %s", doc, want)
			}
			got, err := decodeEntries(doc)
			if err != nil || !reflect.DeepEqual(got, entries) {
				t.Errorf("read %+v, %v\nwant %+v", got, err, entries)
			}
		})
	}
}

// FuzzDecodeEntries: documents by any hand read as encoding/json reads them, or not at all.
func FuzzDecodeEntries(f *testing.F) {
	for _, s := range []string{
		`[]`, `[{"r":"a","s":"compliant","t":1}]`, `[{"r":"a","s":"waived","t":1,"b":2,"g":3,"w":"w","m":"r","e":{"a":[1]}},{"r":"b","s":"error","t":-1}]`,
		`[{"r":"a","s":"x","t":1,"e":}]`, `[{"r":"a","s":"x","t":1,"r":"b"}]`, `[{"r":"a","s":"x","t":01}]`, `[{"r":"a","s":"x","t":1}}]`, `[ {"s":"x"} ]`, `null`, `[{"r":"\u0061","s":"x","t":1}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		var docs []entryDoc
		if json.Unmarshal([]byte(doc), &docs) != nil {
			_, _ = decodeEntries(doc) // what is no JSON may come to anything but a panic
			return
		}
		got, err := decodeEntries(doc)
		if err != nil || len(got) != len(docs) {
			t.Fatalf("decodeEntries(%q) = %d entries, %v, want %d", doc, len(got), err, len(docs))
		}
		for i, d := range docs {
			if want := d.entry(); !reflect.DeepEqual(got[i], want) {
				t.Fatalf("decodeEntries(%q)[%d] = %+v, want %+v", doc, i, got[i], want)
			}
		}
	})
}
