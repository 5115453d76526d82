package signaling_test

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"handrail/signaling"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew")

const goldenFile = "testdata/golden.json"

// vector is one golden frame; Go and TypeScript read the same file. Error is set where the
// frame must be refused, and is the code its sender is told.
type vector struct {
	Name  string          `json:"name"`
	From  string          `json:"from"` // agent, gateway, browser, viewer or helper
	Frame string          `json:"frame"`
	Body  json.RawMessage `json:"body,omitempty"`
	Error signaling.Code  `json:"error,omitempty"`
}

var sides = map[string]signaling.Side{
	"agent": signaling.FromAgent, "gateway": signaling.FromGateway, "browser": signaling.FromBrowser,
	"viewer": signaling.FromViewer, "helper": signaling.FromHelper,
}

// good builds one well-formed frame for every type and side, by filling its fields.
func good(t *testing.T) []vector {
	t.Helper()
	var out []vector
	for _, s := range signaling.Types() {
		body := sample(s)
		frame, err := signaling.Encode(signaling.Envelope{Type: s.Type, ID: "7", Body: body})
		if err != nil {
			t.Fatalf("Encode(%s) = %v", s.Type, err)
		}
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"agent", "gateway", "browser", "viewer", "helper"} {
			if s.From&sides[name] != 0 {
				out = append(out, vector{Name: string(s.Type) + " from " + name, From: name, Frame: string(frame), Body: encoded})
			}
		}
	}
	return out
}

// samples are the bodies whose fields need more than filling.
var samples = map[signaling.Type]any{
	signaling.TypeSessionConsent: signaling.SessionConsent{
		Session: "ses_1", Decision: signaling.DecisionGranted, By: "maria",
		Granted: signaling.SetOf(signaling.View, signaling.Control),
	},
	signaling.TypeSessionRequest: signaling.SessionRequest{
		Session: "ses_1", Operator: signaling.Operator{Name: "Ada", Email: "ada@example.org", Role: "Technician"}, Organisation: "Acme",
		Reason: "Printer: «Gutenberg»\nsecond floor", Capabilities: signaling.SetOf(signaling.View), Consent: signaling.ConsentAsk,
		AnswerWithinMS: 60_000, ConsentWindowMS: 900_000,
	},
	signaling.TypeFilesPut: signaling.FilesPut{
		Job: 1, Folder: signaling.NameFile("/home/ada"), Name: signaling.NameFile("latin\xfc"), Size: 9, Conflict: signaling.ConflictKeep,
	},
	signaling.TypePictureTier:   signaling.PictureTier{Tier: "sharp"},
	signaling.TypeSessionJoined: signaling.SessionJoined{Session: "ses_1", Peer: "peer_1", State: signaling.StateLive, DeviceName: "demo"},
	signaling.TypeSessionState:  signaling.SessionState{Session: "ses_1", State: signaling.StateDeclined, Message: "They said no.", Online: true},
}

func sample(s signaling.Spec) any {
	if b, ok := samples[s.Type]; ok {
		return b
	}
	if b, ok := diagnosticSamples[s.Type]; ok {
		return b
	}
	v := reflect.New(s.Body).Elem()
	fill(v)
	return v.Interface()
}

// fill puts a plain valid value into every field.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case signaling.SessionID:
		v.SetString("ses_1")
		return
	case signaling.PeerID:
		v.SetString("peer_1")
		return
	case signaling.DeviceID:
		v.SetString("dev_1")
		return
	case signaling.Nonce, signaling.Key:
		v.SetBytes([]byte(strings.Repeat("k", 32)))
		return
	case signaling.Signature:
		v.SetBytes([]byte(strings.Repeat("s", 64)))
		return
	case signaling.CapabilitySet:
		v.Set(reflect.ValueOf(signaling.SetOf(signaling.View, signaling.Clipboard)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("text ü")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1920)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(12.5)
	case reflect.Slice:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e)
		v.Set(reflect.Append(v, e))
	default:
	}
}

// bad are frames that must be refused, each with the code its sender is told.
var bad = []vector{
	{Name: "empty", From: "agent", Frame: ``, Error: signaling.CodeMalformed},
	{Name: "cut off", From: "agent", Frame: `{"v":1,"type":"hello","body":{"device":"dev_`, Error: signaling.CodeMalformed},
	{Name: "not an object", From: "browser", Frame: `[1,2]`, Error: signaling.CodeMalformed},
	{Name: "two values", From: "browser", Frame: `{"v":1,"type":"ready"}{"v":1}`, Error: signaling.CodeMalformed},
	{Name: "no version", From: "browser", Frame: `{"type":"ticket","body":{"ticket":"x"}}`, Error: signaling.CodeMalformed},
	{Name: "newer version", From: "browser", Frame: `{"v":2,"type":"ticket","body":{}}`, Error: signaling.CodeVersion},
	{Name: "unknown type", From: "browser", Frame: `{"v":1,"type":"device.wipe","body":{}}`, Error: signaling.CodeUnknownType},
	{Name: "an agent's message from a browser", From: "browser", Frame: `{"v":1,"type":"session.consent","body":{}}`, Error: signaling.CodeForbidden},
	{Name: "a gateway's message from an agent", From: "agent", Frame: `{"v":1,"type":"welcome","body":{}}`, Error: signaling.CodeForbidden},
	{Name: "a viewer's message on the socket", From: "browser", Frame: `{"v":1,"type":"control.ask"}`, Error: signaling.CodeForbidden},
	{Name: "id of another kind", From: "browser", Frame: `{"v":1,"type":"session.join","body":{"session":"dev_1"}}`, Error: signaling.CodeMalformed},
	{Name: "id that is a path", From: "browser", Frame: `{"v":1,"type":"session.join","body":{"session":"ses_../x"}}`, Error: signaling.CodeMalformed},
	{Name: "short nonce", From: "agent", Frame: `{"v":1,"type":"hello","body":{"device":"dev_1","nonce":"AAAA"}}`, Error: signaling.CodeMalformed},
	{Name: "terminal escape in a name", From: "agent", Frame: `{"v":1,"type":"session.consent","body":{"session":"ses_1","decision":"granted","granted":[],"by":"\u001b[31m"}}`, Error: signaling.CodeMalformed},
	{Name: "decision that does not exist", From: "agent", Frame: `{"v":1,"type":"session.consent","body":{"session":"ses_1","decision":"sure","granted":["view"]}}`, Error: signaling.CodeMalformed},
	{Name: "number where a text belongs", From: "browser", Frame: `{"v":1,"type":"ticket","body":{"ticket":5}}`, Error: signaling.CodeMalformed},
	{Name: "offer without sdp", From: "browser", Frame: `{"v":1,"type":"peer.offer","body":{"session":"ses_1","peer":"peer_1","sdp":""}}`, Error: signaling.CodeMalformed},
	{Name: "event number 0", From: "agent", Frame: `{"v":1,"type":"session.event","body":{"session":"ses_1","seq":0,"kind":"live"}}`, Error: signaling.CodeMalformed},
	{Name: "tier that does not exist", From: "viewer", Frame: `{"v":1,"type":"picture.tier","body":{"tier":"8k"}}`, Error: signaling.CodeMalformed},
}

func TestGolden(t *testing.T) {
	vectors := append(good(t), bad...)
	if *update {
		b, err := json.MarshalIndent(vectors, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFile, append(b, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var kept []vector
	if err := json.Unmarshal(b, &kept); err != nil {
		t.Fatal(err)
	}
	for i := range kept {
		kept[i].Body = compact(t, kept[i].Body)
	}
	if d := cmp.Diff(vectors, kept); d != "" {
		t.Errorf("%s is not what this code says on the wire (run with -update if that is meant): -now +kept\n%s", goldenFile, d)
	}
}

func compact(t *testing.T, b json.RawMessage) json.RawMessage {
	t.Helper()
	if b == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.Grow(len(b))
	inString, escaped := false, false
	for _, c := range b { // white space outside strings is MarshalIndent's
		if !inString && (c == ' ' || c == '\n') {
			continue
		}
		if c == '"' && !escaped {
			inString = !inString
		}
		escaped = c == '\\' && !escaped
		out.WriteByte(c)
	}
	return json.RawMessage(out.String())
}

func TestDecode(t *testing.T) {
	for _, v := range append(good(t), bad...) {
		t.Run(v.Name, func(t *testing.T) {
			e, err := signaling.Decode([]byte(v.Frame), sides[v.From])
			if v.Error != "" {
				if err == nil || signaling.CodeOf(err) != v.Error {
					t.Fatalf("Decode(%s) = %v, want code %s", v.Frame, err, v.Error)
				}
				return
			}
			if err != nil {
				t.Fatalf("Decode(%s) = %v", v.Frame, err)
			}
			again, err := signaling.Encode(e)
			if err != nil || string(again) != v.Frame {
				t.Errorf("Encode(Decode(%s)) = %s, %v", v.Frame, again, err)
			}
		})
	}
}

func TestDecodeRefusesWhatIsTooLarge(t *testing.T) {
	long := strings.Repeat("x", signaling.MaxMessage)
	for name, frame := range map[string]string{
		"frame":  `{"v":1,"type":"ticket","body":{"ticket":"` + long + `"}}`,
		"ticket": `{"v":1,"type":"ticket","body":{"ticket":"` + long[:10<<10] + `"}}`,
		"id":     `{"v":1,"id":"` + long[:65] + `","type":"ticket","body":{"ticket":"x"}}`,
	} {
		if _, err := signaling.Decode([]byte(frame), signaling.FromBrowser); err == nil {
			t.Errorf("Decode(%s over its limit) succeeded", name)
		}
	}
}

// TestEveryMessageHasARule is invariant 7.2 for the sockets and the data channels: what a
// browser may send names its rule, what a viewer may send names the capability it needs.
func TestEveryMessageHasARule(t *testing.T) {
	for _, s := range signaling.Types() {
		if s.From&signaling.FromBrowser != 0 && s.Rule == signaling.RuleNone {
			t.Errorf("%s may come from a browser and names no rule", s.Type)
		}
		if s.From&signaling.FromBrowser == 0 && s.Rule != signaling.RuleNone {
			t.Errorf("%s names the rule %q and never comes from a browser", s.Type, s.Rule)
		}
		if s.From&signaling.FromViewer != 0 && s.Need == "" {
			t.Errorf("%s may come from a viewer and names no capability", s.Type)
		}
		if s.From == 0 {
			t.Errorf("%s comes from nobody", s.Type)
		}
	}
}

func TestCapabilitySet(t *testing.T) {
	s := signaling.SetOf(signaling.Control, signaling.View, "no_such")
	b, err := json.Marshal(s)
	if err != nil || string(b) != `["view","control"]` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
	var back signaling.CapabilitySet
	if err := json.Unmarshal([]byte(`["control","later","view"]`), &back); err != nil || back != s {
		t.Errorf("Unmarshal = %v, %v, want %v", back.List(), err, s.List())
	}
	if s.Has("no_such") || s.Has("") || s.Has(signaling.Power) {
		t.Errorf("%v holds what was never put in", s.List())
	}
}

// TestCapabilityNumbers: databases keep sets as numbers, so none may ever change.
func TestCapabilityNumbers(t *testing.T) {
	want := map[signaling.Capability]signaling.CapabilitySet{
		signaling.View: 1, signaling.Control: 2, signaling.Clipboard: 4, signaling.Files: 8, signaling.Terminal: 16,
		signaling.Diagnostics: 32, signaling.Power: 64, signaling.Record: 128, signaling.Root: 256,
	}
	for _, c := range signaling.Capabilities() {
		if n := signaling.SetOf(c); n == 0 || n != want[c] {
			t.Errorf("%s is %d, want %d", c, n, want[c])
		}
	}
}

// TestTranscriptsDiffer shows that no two claims sign the same bytes.
func TestTranscriptsDiffer(t *testing.T) {
	h := signaling.Hello{Device: "dev_1", Nonce: []byte("a"), Fingerprint: "ab", Instance: "c"}
	c := signaling.Challenge{Nonce: []byte("b"), GatewayKey: []byte("k")}
	moved := h
	moved.Fingerprint, moved.Instance = "a", "bc"
	other := h
	other.Device = "dev_2"
	seen := map[string]string{}
	for name, b := range map[string][]byte{
		"gateway": signaling.GatewayTranscript(h, c), "device": signaling.DeviceTranscript(h, c),
		"moved boundary": signaling.DeviceTranscript(moved, c), "other device": signaling.DeviceTranscript(other, c),
		"successor": signaling.NextKeyTranscript([]byte("k"), []byte("n")),
	} {
		if first, ok := seen[string(b)]; ok {
			t.Errorf("%s and %s sign the same bytes", name, first)
		}
		seen[string(b)] = name
	}
}

// FuzzDecode: whatever arrives, Decode does not panic, and what it accepts can be sent on.
func FuzzDecode(f *testing.F) {
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		f.Fatal(err)
	}
	var kept []vector
	if err := json.Unmarshal(b, &kept); err != nil {
		f.Fatal(err)
	}
	for _, v := range kept {
		f.Add([]byte(v.Frame), uint8(sides[v.From]))
	}
	f.Fuzz(func(t *testing.T, frame []byte, side uint8) {
		e, err := signaling.Decode(frame, signaling.Side(side))
		if err != nil {
			return
		}
		if _, err := signaling.Encode(e); err != nil {
			t.Errorf("Decode(%q) accepted what Encode refuses: %v", frame, err)
		}
	})
}
