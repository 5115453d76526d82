// Command openapigen prints the gateway's OpenAPI document as YAML on standard output. It
// needs neither a gateway nor a database. `make gen` keeps web/openapi.yaml with it, from
// which the console's types are made.
package main

//go:generate sh -c "go run . > ../../../../web/openapi.yaml"

import (
	"fmt"
	"os"

	"handrail/gateway/internal/api"
)

func main() {
	doc, err := api.Document()
	if err == nil {
		_, err = os.Stdout.Write(doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapigen:", err)
		os.Exit(1)
	}
}
