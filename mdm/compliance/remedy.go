package compliance

import (
	"context"
	"time"

	"handrail/mdm"
)

// Remedy is what was last done about a rule on a device by one click: a script that was sent
// as a command, or a setting that a policy gives. How it went is theirs to say.
type Remedy struct {
	Device  mdm.DeviceID
	Rule    string
	At      time.Time
	By      string // the operator's name
	Bulk    string // id of the order that has the script run; "" for none
	Policy  string // id of the policy with the setting; "" for none
	Setting string
}

// RemedyStore keeps remedies, the last for each device and rule.
type RemedyStore interface {
	// PutComplianceRemedies notes remedies over those before.
	PutComplianceRemedies(ctx context.Context, list []Remedy) error
	// ComplianceRemedies returns those of devices, of all rules for "".
	ComplianceRemedies(ctx context.Context, ids []mdm.DeviceID, rule string) ([]Remedy, error)
}

// Remedied notes what was done about a rule.
func (r *Registry) Remedied(ctx context.Context, list []Remedy) error {
	return r.store.PutComplianceRemedies(ctx, list)
}

// Remedies returns what was last done about rules on devices, all rules for "".
func (r *Registry) Remedies(ctx context.Context, ids []mdm.DeviceID, rule string) ([]Remedy, error) {
	return r.store.ComplianceRemedies(ctx, ids, rule)
}
