package web_test

import (
	"io/fs"
	"strings"
	"testing"

	"handrail/web"
)

func TestFSHasAPageWithoutInlineScript(t *testing.T) {
	files, built := web.FS()
	page, err := fs.ReadFile(files, "index.html")
	if err != nil {
		t.Fatalf("built = %v: %v", built, err)
	}
	for _, tag := range strings.Split(string(page), "<script")[1:] {
		open, _, _ := strings.Cut(tag, ">")
		if !strings.Contains(open, "src=") {
			t.Errorf("index.html holds an inline script, which the content security policy refuses: <script%s>", open)
		}
	}
	if !built && !strings.Contains(string(page), "make build") {
		t.Error("the page without a console does not say how to build it")
	}
}
