package server

import "net/http"

// newAPI is the REST API of browsers, the command line and agents.
func (s *Server) newAPI() (http.Handler, error) { return http.NotFoundHandler(), nil }
