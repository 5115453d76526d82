package server

import (
	"net/http"
	"time"

	"handrail/gateway/internal/api"
	"handrail/mdm"
)

// openAPI makes the REST API of browsers, the command line and agents.
func (s *Server) openAPI() (err error) {
	s.api, err = api.New(api.Config{
		Auth:           s.Auth,
		Audit:          s.Audit,
		Identity:       s.identity,
		Devices:        s.Devices,
		Groups:         s.Groups,
		Enroll:         s.Enroll,
		Inventory:      s.Inventory,
		Labels:         s.Labels,
		Fleet:          s.Fleet,
		Policies:       s.Policies,
		Desire:         s.Desire,
		Sessions:       s.Sessions,
		Links:          s.Links,
		Commands:       s.Commands,
		Scripts:        s.Scripts,
		Dispatch:       s.Dispatch,
		Compliance:     s.Compliance,
		Comply:         s.Comply,
		LabelName:      s.labelName,
		LabelDevices:   s.Store.LabelDevices,
		Changed:        s.changed,
		Version:        s.version,
		URL:            s.URL(),
		CAPEM:          s.certs.CAPEM(),
		CASHA256:       s.certs.CASHA256(),
		TrustedOrigins: s.origins.known,
		Secure:         func(r *http.Request) bool { return r.TLS != nil || s.cfg.BehindProxy },
	}, s.log)
	return err
}

// inventoryTurn is asked over links, which are made before the API that knows.
func (s *Server) inventoryTurn(d mdm.DeviceID) time.Duration { return s.api.InventoryTurn(d) }
