package handrail

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/fstest"
)

// module is the path every import of our own begins with.
const module = "handrail/"

// maxLines bounds a source file; maxFunc a function. Past them a file is split by subject.
const (
	maxLines = 800
	maxFunc  = 80
)

// longFunctions excuses a function from maxFunc, each with its reason.
var longFunctions = map[string]string{}

// grounds are the trees that import nothing but the standard library and themselves.
// Their rooms that may hold a foreign library are listed in foreign.
var grounds = []string{"signaling", "mdm"}

// foreign says in which rooms a foreign library may live; a prefix covers what is below it.
var foreign = map[string][]string{
	"database/sql":                     {"gateway/internal/store"},
	"modernc.org/sqlite":               {"gateway/internal/store"},
	"github.com/jackc/pgx":             {"gateway/internal/store"},
	"github.com/pressly/goose":         {"gateway/internal/store"},
	"github.com/nats-io":               {"gateway/internal/bus"},
	"github.com/pion/turn":             {"gateway/internal/turn"},
	"github.com/danielgtaylor/huma":    {"gateway/internal/api"},
	"github.com/caddyserver/certmagic": {"gateway/internal/tlsconf"},
	"github.com/alexedwards/argon2id":  {"gateway/internal/auth"},
	"github.com/prometheus":            {"gateway/internal/server"},
	"github.com/klauspost/compress":    {"gateway/internal/api", "agent/internal/link"},
	"github.com/google/cel-go":         {"gateway/internal/rule"},
	"codeberg.org/go-pdf/fpdf":         {"gateway/internal/report"},
	"github.com/pion/webrtc":           {"agent/internal/session"},
	"github.com/pion/interceptor":      {"agent/internal/session"},
	"github.com/gorilla/websocket":     {"signaling/client", "signaling/hub", "gateway/gatewaytest"},
	"github.com/jezek/xgb":             {"agent/internal/screen", "agent/internal/inject", "agent/internal/desktop", "agent/companion", "e2e"},
	"github.com/kbinani/screenshot":    {"agent/internal/screen"},
	"github.com/go-vgo/robotgo":        {"agent/internal/inject"},
	"fyne.io/fyne":                     {"agent/companion", "e2e"},
	"github.com/fsnotify/fsnotify":     {"agent/internal/enforce"},
	"github.com/godbus/dbus":           {"agent/internal/enforce", "agent/internal/seat"},
	"github.com/creack/pty":            {"agent/internal/shell"},
	"github.com/willabides/kongplete":  {"gateway/handrail"},
	"golang.org/x/term":                {"gateway/handrail"},
	"C":                                {"agent/internal/codec", "agent/internal/pixel"},
}

// direction lists, for a tree, the only trees of ours it may import (itself is implied).
// The longest matching prefix counts.
var direction = map[string][]string{
	"signaling":        {},
	"signaling/client": {"signaling"},
	"signaling/hub":    {"signaling"},
	"signaling/tsgen":  {"signaling"},
	"mdm":              {},
	"gateway":          {"signaling", "mdm", "web", "gateway/internal"},
	"gateway/handrail": {"signaling", "mdm"},
	"agent":            {"signaling", "mdm", "agent/internal"},
	"web":              {},
}

// star lists the imports allowed between rooms of mdm; each room otherwise stands alone.
var star = map[string][]string{
	"mdm/rollout": {"mdm/policy"},
	"mdm/policy":  {"mdm/manifest"},
	"mdm/mdmtest": {"mdm/command", "mdm/device", "mdm/enroll", "mdm/group", "mdm/compliance", "mdm/inventory", "mdm/label", "mdm/manifest", "mdm/policy", "mdm/rollout", "mdm/script"},
}

// banned package names say nothing about what is inside.
var banned = []string{"util", "utils", "common", "helpers", "types", "models", "shared", "misc", "base", "lib"}

// source is one parsed Go file of the module.
type source struct {
	path    string // slash separated, from the module's root
	lines   int
	file    *ast.File
	fset    *token.FileSet
	imports []string
	test    bool
}

func (s source) pkg() string { return path.Dir(s.path) }

// load parses every Go file below root, whatever its build tags.
func load(t *testing.T, root fs.FS) []source {
	t.Helper()
	var out []source
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); p != "." && (strings.HasPrefix(n, ".") || n == "node_modules" || n == "testdata" || n == "data" || n == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		b, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, b, parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{path: p, lines: bytes.Count(b, []byte{'\n'}), file: f, fset: fset, test: strings.HasSuffix(p, "_test.go")}
		for _, i := range f.Imports {
			s.imports = append(s.imports, strings.Trim(i.Path.Value, `"`))
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// under reports whether p is tree or below it.
func under(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }

// faults returns every broken rule, sorted, one line each.
func faults(sources []source) []string {
	var out []string
	docs := map[string][]string{}
	names := map[string]bool{}
	for _, s := range sources {
		out = append(out, importFaults(s)...)
		if !s.test && s.lines > maxLines {
			out = append(out, fmt.Sprintf("%s: %d lines, at most %d: split it by subject", s.path, s.lines, maxLines))
		}
		if s.test {
			continue
		}
		out = append(out, functionFaults(s)...)
		name := path.Base(s.pkg())
		if slices.Contains(banned, name) || slices.Contains(banned, s.file.Name.Name) {
			out = append(out, fmt.Sprintf("%s: package name %q says nothing", s.path, name))
		}
		names[s.pkg()] = true
		if s.file.Doc != nil {
			docs[s.pkg()] = append(docs[s.pkg()], s.path)
		}
	}
	for p := range names {
		if n := len(docs[p]); n != 1 {
			out = append(out, fmt.Sprintf("%s: %d package comments (%s), want exactly 1", p, n, strings.Join(docs[p], ", ")))
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

func importFaults(s source) []string {
	var out []string
	say := func(imp, why string) { out = append(out, fmt.Sprintf("%s imports %s: %s", s.path, imp, why)) }
	for _, imp := range s.imports {
		if rooms, ok := foreignRooms(imp); ok && !s.test {
			if !slices.ContainsFunc(rooms, func(r string) bool { return under(s.pkg(), r) }) {
				say(imp, "only "+strings.Join(rooms, ", ")+" may hold it")
			}
		} else if !ok && strings.Contains(strings.Split(imp, "/")[0], ".") && !s.test {
			for _, g := range grounds {
				if under(s.pkg(), g) {
					say(imp, g+" is ground floor: the standard library only")
				}
			}
		}
		own, ok := strings.CutPrefix(imp, module)
		if !ok || s.test {
			continue
		}
		if why := ownFault(s.pkg(), own); why != "" {
			say(imp, why)
		}
	}
	return out
}

func foreignRooms(imp string) ([]string, bool) {
	for lib, rooms := range foreign {
		if under(imp, lib) {
			return rooms, true
		}
	}
	return nil, false
}

// ownFault says why package from may not import our own package to; "" if it may.
func ownFault(from, to string) string {
	if under(from, "mdm") && under(to, "mdm") && from != to && to != "mdm" && !slices.Contains(star[from], to) {
		return "rooms of mdm stand alone; see star"
	}
	tree := ""
	for t := range direction {
		if under(from, t) && len(t) > len(tree) {
			tree = t
		}
	}
	if tree == "" || under(to, strings.Split(tree, "/")[0]) && !under(from, "signaling") {
		return roofFault(from, to)
	}
	if under(to, tree) {
		return ""
	}
	if !slices.ContainsFunc(direction[tree], func(d string) bool { return under(to, d) }) {
		return fmt.Sprintf("%s may import only %v", tree, direction[tree])
	}
	return ""
}

// roofFault keeps the roofs on top: nothing but a door (main, gatewaytest) may import
// the package that wires a program together.
func roofFault(from, to string) string {
	for _, roof := range []string{"gateway/internal/server", "agent/internal/daemon"} {
		if to == roof && strings.Contains(from, "/internal/") {
			return "a room never holds the roof"
		}
	}
	return ""
}

func functionFaults(s source) []string {
	var out []string
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		n := s.fset.Position(f.Body.Rbrace).Line - s.fset.Position(f.Body.Lbrace).Line
		key := s.pkg() + "." + f.Name.Name
		if n > maxFunc && longFunctions[key] == "" {
			out = append(out, fmt.Sprintf("%s: func %s is %d lines, at most %d", s.path, f.Name.Name, n, maxFunc))
		}
	}
	return out
}

func TestArchitecture(t *testing.T) {
	for _, f := range faults(load(t, os.DirFS("."))) {
		t.Error(f)
	}
}

// TestArchitectureNoticesFaults shows that each rule fails when it is broken.
func TestArchitectureNoticesFaults(t *testing.T) {
	long := "// Package x is long.\npackage x\n\nfunc f() {\n" + strings.Repeat("\t_ = 0\n", 900) + "}\n"
	tests := []struct{ name, file, src, want string }{
		{"ground imports a library", "signaling/x/x.go", "// Package x.\npackage x\n\nimport _ \"github.com/spf13/cobra\"\n", "ground floor"},
		{"mdm imports signaling", "mdm/x/x.go", "// Package x.\npackage x\n\nimport _ \"handrail/signaling\"\n", "may import only"},
		{"signaling imports mdm", "signaling/x/x.go", "// Package x.\npackage x\n\nimport _ \"handrail/mdm\"\n", "may import only"},
		{"rooms of mdm import each other", "mdm/enroll/x.go", "// Package enroll.\npackage enroll\n\nimport _ \"handrail/mdm/device\"\n", "stand alone"},
		{"agent imports gateway", "agent/internal/link/x.go", "// Package link.\npackage link\n\nimport _ \"handrail/gateway/gatewaytest\"\n", "may import only"},
		{"sql outside the store", "gateway/internal/api/x.go", "// Package api.\npackage api\n\nimport _ \"database/sql\"\n", "only gateway/internal/store"},
		{"cgo outside its rooms", "agent/internal/link/x.go", "// Package link.\npackage link\n\nimport \"C\"\n", "may hold it"},
		{"room imports the roof", "gateway/internal/api/x.go", "// Package api.\npackage api\n\nimport _ \"handrail/gateway/internal/server\"\n", "roof"},
		{"grab-bag name", "gateway/internal/utils/x.go", "// Package utils.\npackage utils\n", "says nothing"},
		{"no package comment", "gateway/internal/x/x.go", "package x\n", "0 package comments"},
		{"long file", "gateway/internal/x/x.go", long, "lines, at most 800"},
		{"long function", "gateway/internal/x/x.go", long, "func f is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := faults(load(t, fstest.MapFS{tt.file: {Data: []byte(tt.src)}}))
			if !slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, tt.want) }) {
				t.Errorf("faults = %q, want one with %q", got, tt.want)
			}
		})
	}
}

// TestBinaries looks at what each program is really made of.
func TestBinaries(t *testing.T) {
	for _, tt := range []struct{ pkg, cgo, without, why string }{
		{"./gateway", "0", "runtime/cgo", "the gateway is one static binary"},
		{"./gateway", "0", "github.com/pion/webrtc/v4", "the gateway relays signaling; it is no peer"},
		{"./agent", "1", "database/sql", "an agent keeps files, not a database"},
		{"./agent", "1", "github.com/nats-io/nats.go", "the bus is the gateway's"},
		{"./agent", "1", "fyne.io/fyne/v2", "the companion is a program of its own"},
	} {
		t.Run(tt.pkg+" without "+tt.without, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", tt.pkg)
			cmd.Env = append(cmd.Environ(), "CGO_ENABLED="+tt.cgo)
			b, err := cmd.Output()
			if err != nil {
				t.Fatalf("go list -deps %s: %v", tt.pkg, err)
			}
			if slices.Contains(strings.Fields(string(b)), tt.without) {
				t.Errorf("%s holds %s: %s", tt.pkg, tt.without, tt.why)
			}
		})
	}
}
