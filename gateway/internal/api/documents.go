package api

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

var (
	//go:embed docs.html
	docsHTML string
	//go:embed docs.css
	docsCSS []byte
)

// Document returns the OpenAPI 3.1 document as YAML. It needs no database; the generator
// and the tests use it.
func Document() ([]byte, error) {
	a, err := build(Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return a.huma.OpenAPI().YAML()
}

// serveDocuments registers the OpenAPI document and its page. Both say nothing of this
// gateway's people or devices, so they are public. Each is made when it is first asked for:
// most gateways are never asked, and all of them should start quickly.
func (a *API) serveDocuments(mux *http.ServeMux) {
	doc := a.huma.OpenAPI()
	serve := func(path, contentType string, content func() ([]byte, error)) {
		once := sync.OnceValues(content)
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			b, err := once()
			if err != nil {
				a.writeProblem(w, a.problemOf(r.Context(), err))
				return
			}
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Cache-Control", "no-cache")
			if _, err := w.Write(b); err != nil {
				a.log.Debug("document_not_sent", "error", err)
			}
		})
	}
	serve("/api/openapi.yaml", "application/yaml", doc.YAML)
	serve("/api/openapi.json", "application/json", func() ([]byte, error) { return json.Marshal(doc) })
	serve("/api/docs", "text/html; charset=utf-8", func() ([]byte, error) { return docsPage(doc) })
	serve("/api/docs.css", "text/css; charset=utf-8", func() ([]byte, error) { return docsCSS, nil })
}

// docOperation is one operation as the page shows it.
type docOperation struct {
	ID, Method, Path, Summary, Description, Permission string
	Parameters                                         []docField
	Body, Answer                                       string // schema names
}

// docField is a parameter or a property.
type docField struct {
	Name, Type, Where, Doc string
	Required               bool
}

// docSchema is a body.
type docSchema struct {
	Name   string
	Fields []docField
}

func docsPage(doc *huma.OpenAPI) ([]byte, error) {
	tags := map[string][]docOperation{}
	for path, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				tags[op.Tags[0]] = append(tags[op.Tags[0]], docOperationOf(path, op))
			}
		}
	}
	type tag struct {
		Name       string
		Operations []docOperation
	}
	var list []tag
	for name, ops := range tags {
		slices.SortFunc(ops, func(x, y docOperation) int {
			return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(x.Method, y.Method))
		})
		list = append(list, tag{name, ops})
	}
	slices.SortFunc(list, func(x, y tag) int { return strings.Compare(x.Name, y.Name) })
	var schemas []docSchema
	for name, s := range doc.Components.Schemas.Map() {
		schemas = append(schemas, docSchema{name, docFields(s)})
	}
	slices.SortFunc(schemas, func(x, y docSchema) int { return strings.Compare(x.Name, y.Name) })
	t, err := template.New("docs").Parse(docsHTML)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Title": doc.Info.Title, "Description": doc.Info.Description, "Tags": list, "Schemas": schemas})
	return b.Bytes(), err
}

func docOperationOf(path string, op *huma.Operation) docOperation {
	permission, _ := op.Extensions["x-permission"].(string)
	d := docOperation{
		ID: op.OperationID, Method: op.Method, Path: path, Summary: op.Summary, Description: op.Description, Permission: permission,
	}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, docField{
			Name: p.Name, Type: typeWords(p.Schema), Where: p.In, Doc: cmp.Or(p.Description, p.Schema.Description), Required: p.Required,
		})
	}
	if op.RequestBody != nil {
		if c := op.RequestBody.Content["application/json"]; c != nil {
			d.Body = typeWords(c.Schema)
		}
	}
	for code, r := range op.Responses {
		if c := r.Content["application/json"]; c != nil && strings.HasPrefix(code, "2") {
			d.Answer = typeWords(c.Schema)
		}
	}
	return d
}

func docFields(s *huma.Schema) []docField {
	var out []docField
	for name, p := range s.Properties {
		out = append(out, docField{Name: name, Type: typeWords(p), Doc: p.Description, Required: slices.Contains(s.Required, name)})
	}
	slices.SortFunc(out, func(x, y docField) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// typeWords names a schema's type: the last part of a reference, or what it is made of.
func typeWords(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case s.Type == huma.TypeArray:
		return typeWords(s.Items) + "[]"
	case len(s.Enum) > 0:
		words := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			b, err := json.Marshal(v)
			if err != nil {
				return s.Type
			}
			words[i] = string(b)
		}
		return strings.Join(words, " | ")
	case s.Format != "":
		return s.Type + " (" + s.Format + ")"
	case s.Type == "":
		return "any"
	}
	return s.Type
}
