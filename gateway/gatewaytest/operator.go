package gatewaytest

import (
	"net/http"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
)

// Admin sets the gateway up and returns a client signed in as its administrator. Once set
// up, it signs in.
func (g *Gateway) Admin() *http.Client {
	g.t.Helper()
	ctx := g.t.Context()
	token, needed, err := g.Rooms.Auth.SetupToken(ctx)
	if err != nil {
		g.t.Fatal(err)
	}
	if needed {
		_, _, err := g.Rooms.Auth.SetUp(ctx, auth.Setup{
			Token: token, Organisation: "Example Ltd", Name: "Ada Admin", Email: AdminEmail, Password: AdminPassword,
		}, "127.0.0.1", "test")
		if err != nil {
			g.t.Fatal(err)
		}
	}
	return g.SignIn(AdminEmail, AdminPassword)
}

// SignIn returns a client signed in as an operator.
func (g *Gateway) SignIn(email, password string) *http.Client {
	g.t.Helper()
	_, cookie, err := g.Rooms.Auth.SignIn(g.t.Context(), email, password, "127.0.0.1", "test")
	if err != nil {
		g.t.Fatal(err)
	}
	c := g.Client()
	g.setCookie(c, auth.CookieName, cookie)
	return c
}

// Operator makes an operator with one role on a group (needs Admin first) and returns a
// client signed in as them. Roles: admin, technician, helpdesk, auditor.
func (g *Gateway) Operator(name, role string, on mdm.GroupID) *http.Client {
	g.t.Helper()
	admin := g.Caller(g.Admin())
	email, password := name+"@example.test", "pass phrase of "+name+" 4711"
	_, err := g.Rooms.Auth.CreateOperator(g.t.Context(), admin, auth.NewOperator{
		Name: name, Email: email, Password: password, Grants: []auth.Grant{{Role: auth.Role(role), Group: on}},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.SignIn(email, password)
}

// Caller returns who a client is signed in as.
func (g *Gateway) Caller(c *http.Client) auth.Caller {
	g.t.Helper()
	caller, err := g.Rooms.Auth.Caller(g.t.Context(), g.Cookie(c))
	if err != nil {
		g.t.Fatal(err)
	}
	return caller
}

// Cookie returns the value of the client's sign-in.
func (g *Gateway) Cookie(c *http.Client) string {
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.URL+"/", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, k := range c.Jar.Cookies(req.URL) {
		if k.Name == auth.CookieName {
			return k.Value
		}
	}
	return ""
}
