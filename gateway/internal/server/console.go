package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// consolePolicy: scripts and everything else from the gateway alone. Styles may be inline,
// because the component library sets them so; script may not.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
	"font-src 'self' data:; connect-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// asset is one file of the console with its compressed forms.
type asset struct {
	kind      string // media type
	etag      string
	immutable bool // its name changes when it does
	plain     []byte
	encoded   map[string][]byte // "br", "gzip"
}

// console serves the embedded pages. Any path that is no file is the single page's own.
type console struct {
	assets map[string]*asset
	index  *asset
}

func newConsole(files fs.FS, _ bool) (*console, error) {
	c := &console{assets: map[string]*asset{}}
	err := fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".br") || strings.HasSuffix(p, ".gz") {
			return err
		}
		a, err := load(files, p)
		if err == nil {
			c.assets["/"+p] = a
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if c.index = c.assets["/index.html"]; c.index == nil {
		return nil, fmt.Errorf("console: no index.html")
	}
	return c, nil
}

// kinds are media types the system's own table may lack or get wrong.
var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8",
	".svg": "image/svg+xml", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json", ".json": "application/json",
	".wasm": "application/wasm", ".ico": "image/x-icon", ".png": "image/png", ".txt": "text/plain; charset=utf-8",
}

func load(files fs.FS, p string) (*asset, error) {
	b, err := fs.ReadFile(files, p)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	a := &asset{
		kind: kinds[path.Ext(p)], etag: `"` + hex.EncodeToString(sum[:12]) + `"`,
		immutable: strings.HasPrefix(p, "assets/"), plain: b, encoded: map[string][]byte{},
	}
	if a.kind == "" {
		if a.kind = mime.TypeByExtension(path.Ext(p)); a.kind == "" {
			a.kind = "application/octet-stream"
		}
	}
	for ext, name := range map[string]string{".br": "br", ".gz": "gzip"} {
		if b, err := fs.ReadFile(files, p+ext); err == nil {
			a.encoded[name] = b
		}
	}
	return a, nil
}

// ServeHTTP implements http.Handler.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	a := c.assets[r.URL.Path]
	if a == nil {
		if strings.HasPrefix(r.URL.Path, "/assets/") {
			http.NotFound(w, r) // of an older console; its page must not come as a script
			return
		}
		a = c.index
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Content-Security-Policy", consolePolicy)
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Vary", "Accept-Encoding")
	if a.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	body, tag := a.plain, a.etag
	for _, name := range []string{"br", "gzip"} {
		if b, ok := a.encoded[name]; ok && accepts(r.Header.Get("Accept-Encoding"), name) {
			body, tag = b, strings.TrimSuffix(a.etag, `"`)+"-"+name+`"`
			h.Set("Content-Encoding", name)
			break
		}
	}
	h.Set("ETag", tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// accepts reports whether a client takes an encoding.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == encoding {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && q != "q=0.0"
		}
	}
	return false
}
