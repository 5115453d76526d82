package signaling

import (
	"fmt"
)

// Messages of the tool "journal": the device's logs. JournalOpen asks for what fits a filter, newest
// lines last, and, with Follow, for what comes after; it may be sent again, and Query tells the answers
// apart. JournalMore pages backwards from the oldest line that was told. Lines come in bursts of a few batches, at most
// ten a second, and each batch with Seq is acknowledged by JournalAck: while 8 are not, lines wait on the device,
// and where more than it keeps wait, the oldest are dropped, which the next batch counts.
const (
	TypeJournalOpen   Type = "journal.open"
	TypeJournalSource Type = "journal.source"
	TypeJournalLines  Type = "journal.lines"
	TypeJournalMore   Type = "journal.more"
	TypeJournalAck    Type = "journal.ack"
)

// ToolJournal names the tool.
const ToolJournal = "journal"

// JournalWindow is how many batches may be on their way without acknowledgement.
const JournalWindow = 8

// JournalOpen asks for lines.
type JournalOpen struct {
	Query    int64  `json:"query"`    // the viewer's number of this question, which the answers name
	Unit     string `json:"unit"`     // of this service only; "" is all
	Priority int64  `json:"priority"` // at least as grave: 0 emergency, 3 error, 4 warning, 6 information, 7 debugging
	Text     string `json:"text"`     // that lines hold, whatever the case; "" is all
	SinceMS  int64  `json:"since_ms"` // 0 is from the beginning
	UntilMS  int64  `json:"until_ms"` // 0 is to the end
	Boot     string `json:"boot"`     // an id of JournalSource; "" is all
	Kernel   bool   `json:"kernel"`   // the kernel's only
	File     string `json:"file"`     // of JournalSource's files; "" is the journal, or the best file there is
	Count    int64  `json:"count"`    // of lines to begin with; 1 to 1000
	Follow   bool   `json:"follow"`
}

func (o JournalOpen) validate() error {
	if o.Unit != "" {
		if err := checkName("unit", o.Unit); err != nil {
			return err
		}
	}
	for _, r := range o.Boot {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return fmt.Errorf("boot is %q", trim(o.Boot, 64))
		}
	}
	return firstError(
		checkRange("query", o.Query, 0, 1<<53), checkRange("priority", o.Priority, 0, 7), checkRange("count", o.Count, 1, 1000),
		checkRange("since_ms", o.SinceMS, 0, 1<<50), checkRange("until_ms", o.UntilMS, 0, 1<<50),
		checkText("text", o.Text, 256), checkText("file", o.File, 256), checkText("boot", o.Boot, 32),
	)
}

// JournalSource says where lines come from; it comes once, before them.
type JournalSource struct {
	Query   int64         `json:"query"`
	Kind    string        `json:"kind"` // journal, files, none
	Files   []string      `json:"files"`
	Boots   []JournalBoot `json:"boots"` // newest first
	Units   []string      `json:"units"` // that have lines
	Message string        `json:"message"`
}

// JournalBoot is one run of the device.
type JournalBoot struct {
	ID      string `json:"id"`
	FirstMS int64  `json:"first_ms"` // of its lines
	LastMS  int64  `json:"last_ms"`
}

// JournalLine is one entry.
type JournalLine struct {
	TimeMS   int64  `json:"time_ms"`  // 0 where the line does not tell
	Priority int64  `json:"priority"` // 0 to 7; 6 where the line does not tell
	Unit     string `json:"unit"`     // service, or the program that wrote it
	PID      int64  `json:"pid"`
	Text     string `json:"text"`
	Cut      int64  `json:"cut"` // bytes that Text lacks of the line
}

// JournalLines is a batch, oldest line first.
type JournalLines struct {
	Query   int64         `json:"query"`
	Seq     int64         `json:"seq"`     // to be acknowledged
	Back    bool          `json:"back"`    // these come before all that were told; else after
	Begin   bool          `json:"begin"`   // with Back: there is nothing before these
	Dropped int64         `json:"dropped"` // lines that were not told, before these
	Last    bool          `json:"last"`    // of an answer to JournalOpen or JournalMore; what comes after is followed
	Lines   []JournalLine `json:"lines"`
}

// JournalMore asks for the lines before the oldest that was told.
type JournalMore struct {
	Query int64 `json:"query"`
	Count int64 `json:"count"` // 1 to 1000
}

func (m JournalMore) validate() error { return checkRange("count", m.Count, 1, 1000) }

// JournalAck says that the batches up to Seq were shown.
type JournalAck struct {
	Seq int64 `json:"seq"`
}
