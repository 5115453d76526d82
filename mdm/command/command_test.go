package command_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"handrail/mdm"
	"handrail/mdm/command"
)

func TestDecodeParams(t *testing.T) {
	for _, tt := range []struct {
		kind command.Kind
		in   string
		want string // as a device gets it; "" is a refusal
	}{
		{command.RefreshInventory, ``, `{}`},
		{command.RefreshInventory, `{"x":1}`, ``},
		{command.Restart, `{}`, `{}`},
		{command.Restart, `{"delay_seconds":60}`, `{"delay_seconds":60}`},
		{command.Restart, `{"delay_seconds":86401}`, ``},
		{command.Restart, `{}{}`, ``},
		{command.Message, `{"text":" a\n\n b\u202e "}`, `{"text":"a\n\nb"}`},
		{command.Message, `{"text":"\n"}`, ``},
		{command.SignOut, `{"user":"EXAMPLE\\ann"}`, `{"user":"EXAMPLE\\ann"}`},
		{command.SignOut, `{"user":"ann; reboot"}`, ``},
		{command.RestartService, `{"unit":"getty@tty1.service"}`, `{"unit":"getty@tty1.service"}`},
		{command.RestartService, `{"unit":""}`, ``},
		{command.RestartService, `{"unit":"../x"}`, ``},
		{command.CollectLogs, `{}`, `{"since_hours":24,"max_bytes":8388608}`},
		{command.CollectLogs, `{"files":["/var/log/apt/*.log"],"since_hours":1,"max_bytes":65536}`, `{"since_hours":1,"files":["/var/log/apt/*.log"],"max_bytes":65536}`},
		{command.CollectLogs, `{"files":["/var/log/"]}`, ``},
		{command.CollectLogs, `{"unit":"a b"}`, ``},
		{command.RunScript, `{"interpreter":"sh","body":"id"}`, `{"interpreter":"sh","body":"id","timeout_seconds":300,"output_bytes":65536}`},
		{command.RunScript, `{"interpreter":"sh","body":"id","output_bytes":9999999}`, ``},
		{command.RunScript, `{"interpreter":"zsh","body":"id"}`, ``},
		{command.RunScript, `{"interpreter":"sh","body":" \n"}`, ``},
		{"dance", `{}`, ``},
	} {
		p, err := command.DecodeParams(tt.kind, []byte(tt.in))
		if tt.want == "" {
			if !errors.Is(err, mdm.ErrInvalid) {
				t.Errorf("%s %s: %+v, %v, want %v", tt.kind, tt.in, p, err, mdm.ErrInvalid)
			}
			continue
		}
		b, merr := json.Marshal(p)
		if err != nil || merr != nil || string(b) != tt.want {
			t.Errorf("%s %s = %s, %v, want %s", tt.kind, tt.in, b, err, tt.want)
		}
		if err == nil && command.RunLimit(p) <= 0 {
			t.Errorf("%s may run for %v", tt.kind, command.RunLimit(p))
		}
	}
}

func TestCursor(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 123456000, time.UTC)
	got, id, err := command.DecodeCursor(command.CursorAfter(at, "cmd_x"))
	if err != nil || !got.Equal(at) || id != "cmd_x" {
		t.Errorf("%v, %s, %v", got, id, err)
	}
	if _, _, err := command.DecodeCursor("x"); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestCleanOutput(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"a\tb\nc", 9, "a\tb\nc"},
		{"a\r\nb", 9, "a\nb"},
		{"\x1b[31mred\x1b[0m", 99, "[31mred[0m"},
		{"a\x00b", 9, "ab"},
		{"\xff", 9, "\ufffd"},
		{"\u202eevil", 9, "evil"},
		{"äöü", 5, "äö"},
	} {
		if got := command.CleanOutput(tt.in, tt.limit); got != tt.want {
			t.Errorf("CleanOutput(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func FuzzDecodeParams(f *testing.F) {
	for _, k := range command.Kinds {
		f.Add(string(k), []byte(`{"text":"x","unit":"x","interpreter":"sh","body":"x","files":["/var/log/x"],"delay_seconds":1}`))
		f.Add(string(k), []byte(`{}`))
	}
	f.Fuzz(func(t *testing.T, kind string, raw []byte) {
		p, err := command.DecodeParams(command.Kind(kind), raw)
		if err != nil {
			if !errors.Is(err, mdm.ErrInvalid) {
				t.Fatalf("error is not %v: %v", mdm.ErrInvalid, err)
			}
			return
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > command.MaxPayload {
			return // the gateway refuses it for its size
		}
		if _, err := command.DecodeParams(command.Kind(kind), b); err != nil {
			t.Fatalf("what was taken is refused when it is read again: %v in %s", err, b)
		}
	})
}

func FuzzDecodeResults(f *testing.F) {
	f.Add([]byte(`{"results":[{"id":"cmd_a","state":"failed","reason":"exit_code","exit_code":3,"output":"x\u0000","started_us":-1,"output_bytes":-5}]}`))
	f.Add([]byte(`{"results":[{"id":"cmd_a","state":"succeeded"},{"id":"../b","state":"sent"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := command.DecodeResults(b)
		if err != nil {
			if !errors.Is(err, mdm.ErrInvalid) {
				t.Fatalf("error is not %v: %v", mdm.ErrInvalid, err)
			}
			return
		}
		for _, r := range rs.Results {
			if !mdm.IsID("cmd", string(r.ID)) || r.State.IsOpen() || len(r.Output) > command.MaxOutput || !utf8.ValidString(r.Output) ||
				strings.ContainsRune(r.Output+r.Message, 0) || r.StartedUS < 0 || r.OutputBytes < 0 || len(r.Message) > command.MaxText {
				t.Fatalf("taken: %+v", r)
			}
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte(`{"commands":[{"id":"cmd_a","kind":"restart","params":{},"within_ms":5}],"cancel":["cmd_b"],"more":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := command.DecodeAnswer(b)
		for _, d := range a.Commands {
			if err == nil && !mdm.IsID("cmd", string(d.ID)) {
				t.Fatalf("taken: %+v", d)
			}
		}
	})
}
