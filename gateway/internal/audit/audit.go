// Package audit keeps the record of who did what to what: append-only, each entry bound to
// the one before by a hash, so that nothing can be changed, removed or slipped in without
// Verify telling. It names the human who acted, never a shared account. What happens inside
// a support session in detail is the session's timeline, not this.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
)

// Kinds of actors.
const (
	ByOperator = "operator"
	ByDevice   = "device"
	ByNobody   = "anonymous" // someone who did not sign in: the name is what they claimed
	BySystem   = "system"    // the gateway itself, or someone at its command line
)

// Who acted, or was acted upon. Kind is one of the actor kinds above, or a noun.
type Who struct {
	Kind string
	ID   string
	Name string // as it was at the time
}

// Entry is one line of the record.
type Entry struct {
	Seq     int64     // from 1, without gaps; set by Record
	At      time.Time // gateway's clock, to the microsecond; set by Record when zero
	Actor   Who
	Action  string // "device.revoke", "session.request", "operator.sign_in_refused"
	Target  Who
	Group   mdm.GroupID // whose auditors may read it; "" concerns the whole organisation
	Address string      // network address of the actor
	Detail  map[string]string
	Prev    string // hash of the entry before; "" for the first; set by Record
	Hash    string // set by Record
}

// sum is the hash over the entry before and everything this one says. Each part is
// length-prefixed, so that no two different entries give the same bytes.
func (e Entry) sum() string {
	h := sha256.New()
	part := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	part("handrail audit v1")
	part(e.Prev)
	part(strconv.FormatInt(e.Seq, 10))
	part(strconv.FormatInt(e.At.UnixMicro(), 10))
	for _, w := range []Who{e.Actor, e.Target} {
		part(w.Kind)
		part(w.ID)
		part(w.Name)
	}
	part(e.Action)
	part(string(e.Group))
	part(e.Address)
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		part(k)
		part(e.Detail[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// SearchText is what a search looks through: lower case, one line.
func (e Entry) SearchText() string {
	words := []string{e.Actor.Name, e.Action, e.Target.Kind, e.Target.Name, e.Target.ID, e.Address}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		words = append(words, e.Detail[k])
	}
	return strings.ToLower(strings.Join(words, " "))
}

// Filter selects entries, newest first. The zero value selects none: Groups must be named, or
// AllGroups set.
type Filter struct {
	Query     string
	Actor     string // id
	Action    string // exactly, or all below it when it ends in "."
	Groups    []mdm.GroupID
	AllGroups bool  // entries of the whole organisation too
	Before    int64 // only entries with a smaller Seq; 0: from the newest
	Limit     int
}

// Words splits the query as a search uses it.
func (f Filter) Words() []string {
	w := strings.Fields(strings.ToLower(mdm.Clean(f.Query, 256)))
	return w[:min(len(w), 8)]
}

// Store keeps entries.
type Store interface {
	// AppendAudit appends the entry that next makes of the last one's Seq and Hash (0 and ""
	// before the first). Appends, on any node, happen one after another. next may run twice.
	AppendAudit(ctx context.Context, next func(seq int64, hash string) (Entry, error)) error
	// AuditEntries returns entries, newest first.
	AuditEntries(ctx context.Context, f Filter) ([]Entry, error)
	// WalkAudit visits every entry in order of Seq, and then returns Seq and Hash of the
	// head, which is kept apart: entries missing at the end do not match it.
	WalkAudit(ctx context.Context, visit func(Entry) error) (seq int64, hash string, err error)
}

// Log is the room. It is safe for concurrent use.
type Log struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
}

// New returns a log over store.
func New(store Store, now func() time.Time, log *slog.Logger) *Log {
	return &Log{store: store, now: now, log: log}
}

// Limits of an entry, in bytes.
const (
	maxText   = 512
	maxDetail = 16 // fields
)

// Record appends an entry; Seq, Prev and Hash are ignored. When it fails the whole entry is
// in the program's log, so that it is not lost, and the caller should fail as well.
func (l *Log) Record(ctx context.Context, e Entry) error {
	e = e.clean()
	if e.At.IsZero() {
		e.At = l.now()
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	err := l.store.AppendAudit(ctx, func(seq int64, hash string) (Entry, error) {
		e.Seq, e.Prev = seq+1, hash
		e.Hash = e.sum()
		return e, nil
	})
	if err != nil {
		text, jerr := json.Marshal(e)
		if jerr != nil {
			text = []byte(jerr.Error())
		}
		l.log.Error("audit_not_written", "entry", string(text), "error", err)
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}

func (e Entry) clean() Entry {
	for _, f := range []*string{&e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Action, &e.Target.Kind, &e.Target.ID, &e.Target.Name, &e.Address} {
		*f = mdm.Clean(*f, maxText)
	}
	detail := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		if len(detail) < maxDetail {
			detail[mdm.Clean(k, 64)] = mdm.Clean(e.Detail[k], maxText)
		}
	}
	e.Detail = detail
	return e
}

// Entries returns a page, newest first, and the Before of the next page (0 on the last).
func (l *Log) Entries(ctx context.Context, f Filter) ([]Entry, int64, error) {
	if !f.AllGroups && len(f.Groups) == 0 {
		return []Entry{}, 0, nil
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	limit := min(f.Limit, 500)
	f.Limit = limit + 1
	es, err := l.store.AuditEntries(ctx, f)
	if err != nil {
		return nil, 0, fmt.Errorf("read audit: %w", err)
	}
	if len(es) <= limit {
		return es, 0, nil
	}
	return es[:limit], es[limit-1].Seq, nil
}

// Verdict is the outcome of Verify.
type Verdict struct {
	Entries int64  // looked at
	Head    string // hash of the last
	Broken  int64  // Seq where the chain breaks; 0: it holds
	Reason  string // in words, when it breaks
}

// OK reports whether the chain holds.
func (v Verdict) OK() bool { return v.Broken == 0 }

// errBroken ends a walk early.
var errBroken = errors.New("chain is broken")

// Verify reads the whole log and checks the chain from the first entry to the head. The
// error is only about reading.
func (l *Log) Verify(ctx context.Context) (Verdict, error) {
	var v Verdict
	fail := func(seq int64, reason string) error {
		v.Broken, v.Reason = seq, reason
		return errBroken
	}
	seq, head, err := l.store.WalkAudit(ctx, func(e Entry) error {
		switch {
		case e.Seq != v.Entries+1:
			return fail(v.Entries+1, fmt.Sprintf("entry %d is missing", v.Entries+1))
		case e.Prev != v.Head:
			return fail(e.Seq, fmt.Sprintf("entry %d does not follow entry %d", e.Seq, e.Seq-1))
		case e.Hash != e.sum():
			return fail(e.Seq, fmt.Sprintf("entry %d was altered", e.Seq))
		}
		v.Entries, v.Head = e.Seq, e.Hash
		return nil
	})
	switch {
	case v.Broken != 0:
		return v, nil
	case err != nil:
		return v, fmt.Errorf("verify audit: %w", err)
	case seq != v.Entries || head != v.Head:
		_ = fail(v.Entries+1, fmt.Sprintf("the log ends at entry %d but should end at %d", v.Entries, seq))
	}
	return v, nil
}
