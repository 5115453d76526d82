package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// constant is one named string of a typed set, as the Go source has it.
type constant struct {
	name    string
	value   string
	comment string
}

// source is what reflection cannot see of a package: constants and comments.
type source struct {
	consts map[string][]constant // by type name, in order of the source
	docs   map[string]string     // by type name, or "Type.Field"
}

// readSource parses the Go files of dir, tests apart.
func readSource(dir string) (source, error) {
	s := source{consts: map[string][]constant{}, docs: map[string]string{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return s, err
	}
	fset := token.NewFileSet()
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return s, fmt.Errorf("parse %s: %w", e.Name(), err)
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.read(g)
			}
		}
	}
	return s, nil
}

func (s source) read(g *ast.GenDecl) {
	for _, sp := range g.Specs {
		switch sp := sp.(type) {
		case *ast.ValueSpec:
			if g.Tok == token.CONST {
				s.readConst(sp)
			}
		case *ast.TypeSpec:
			doc := sp.Doc
			if doc == nil && len(g.Specs) == 1 {
				doc = g.Doc
			}
			s.docs[sp.Name.Name] = oneLine(doc)
			if st, ok := sp.Type.(*ast.StructType); ok {
				for _, f := range st.Fields.List {
					for _, n := range f.Names {
						s.docs[sp.Name.Name+"."+n.Name] = firstLine(oneLine(f.Doc), oneLine(f.Comment))
					}
				}
			}
		}
	}
}

func (s source) readConst(v *ast.ValueSpec) {
	typ, ok := v.Type.(*ast.Ident)
	if !ok || len(v.Names) != 1 || len(v.Values) != 1 {
		return
	}
	lit, ok := v.Values[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return
	}
	s.consts[typ.Name] = append(s.consts[typ.Name], constant{v.Names[0].Name, text, oneLine(v.Comment)})
}

func oneLine(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	return strings.ReplaceAll(strings.Join(strings.Fields(g.Text()), " "), "*/", "* /")
}

func firstLine(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
