package daemon_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// newLossyProxy passes everything on to a gateway, and loses the answers that lose names:
// the gateway has done what it was asked, and nobody hears of it.
func newLossyProxy(t *testing.T, gateway string, lose func(*http.Request) bool) string {
	t.Helper()
	to, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !lose(r) {
			proxy.ServeHTTP(w, r)
			return
		}
		w2 := httptest.NewRecorder()
		proxy.ServeHTTP(w2, r)
		_, _ = io.Copy(io.Discard, w2.Body)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
