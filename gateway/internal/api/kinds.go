package api

import (
	"context"

	"handrail/mdm/command"
)

// KindBody describes a kind of command, for a form.
type KindBody struct {
	Kind        string      `json:"kind"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Risk        string      `json:"risk" enum:"none,interrupts,runs_code"`
	Parameters  []KindField `json:"parameters"`
}

// KindField is one parameter.
type KindField struct {
	Name        string       `json:"name"`
	Kind        string       `json:"kind" enum:"bool,integer,text,list,object"`
	Title       string       `json:"title"`
	Description string       `json:"description"`
	Required    bool         `json:"required"`
	Min         int64        `json:"min"`
	Max         int64        `json:"max"`
	Unit        string       `json:"unit,omitempty"`
	MaxLen      int          `json:"max_len,omitempty"`
	Multiline   bool         `json:"multiline,omitempty"`
	Choices     []KindChoice `json:"choices" required:"false"`
}

// KindChoice is one value a text may have.
type KindChoice struct {
	Value string `json:"value"`
	Title string `json:"title"`
}

// commandKinds describes every kind, in the order a menu shows them.
func commandKinds() []KindBody {
	delay := KindField{
		Name: "delay_seconds", Kind: "integer", Title: "Delay", Unit: "seconds", Max: 24 * 3600,
		Description: "Time for the person at the device to save their work; they are told.",
	}
	return []KindBody{
		{Kind: string(command.RefreshInventory), Title: "Refresh inventory", Risk: "none", Description: "Report everything about the device anew."},
		{
			Kind: string(command.Message), Title: "Send a message", Risk: "none", Description: "Shows a notice to the person at the device, with your name.",
			Parameters: []KindField{
				{Name: "title", Kind: "text", Title: "Title", MaxLen: 120},
				{Name: "text", Kind: "text", Title: "Message", MaxLen: 2000, Multiline: true, Required: true},
			},
		},
		{
			Kind: string(command.RunScript), Title: "Run a script", Risk: "runs_code", Description: "A script of the library, or one typed here by those who may.",
			Parameters: []KindField{
				{Name: "script_id", Kind: "text", Title: "Script", MaxLen: 64},
				{Name: "version", Kind: "integer", Title: "Version", Description: "0 is the newest.", Max: 1000},
				{Name: "parameters", Kind: "object", Title: "Values", Description: "Of the script's parameters, by name."},
				{
					Name: "interpreter", Kind: "text", Title: "Interpreter", Description: "Of a script typed here.",
					Choices: []KindChoice{{"sh", "sh"}, {"bash", "bash"}, {"python3", "Python 3"}},
				},
				{Name: "body", Kind: "text", Title: "Script", MaxLen: command.MaxBody, Multiline: true},
				{Name: "run_as", Kind: "text", Title: "Run as", Description: "Account; left out: the agent's own, which is root.", MaxLen: 64},
				{Name: "timeout_seconds", Kind: "integer", Title: "Time limit", Unit: "seconds", Min: 1, Max: command.MaxRun},
				{Name: "output_bytes", Kind: "integer", Title: "Output to keep", Unit: "bytes", Min: 1024, Max: command.MaxOutput},
			},
		},
		{
			Kind: string(command.RestartService), Title: "Restart a service", Risk: "interrupts", Description: "Restarts a systemd service.",
			Parameters: []KindField{{Name: "unit", Kind: "text", Title: "Service", Description: "As in cups or cups.service.", MaxLen: 200, Required: true}},
		},
		{
			Kind: string(command.SignOut), Title: "Sign out", Risk: "interrupts", Description: "Ends desktop sessions; what is not saved is lost.",
			Parameters: []KindField{{Name: "user", Kind: "text", Title: "Account", Description: "Left out: everybody at a screen.", MaxLen: 64}},
		},
		{
			Kind: string(command.Restart), Title: "Restart", Risk: "interrupts", Description: "Succeeds once the device is back.",
			Parameters: []KindField{delay},
		},
		{
			Kind: string(command.Shutdown), Title: "Shut down", Risk: "interrupts", Description: "Somebody has to switch the device on again.",
			Parameters: []KindField{delay},
		},
		{
			Kind: string(command.CollectLogs), Title: "Collect logs", Risk: "none", Description: "Fetches a bundle of the system's journal and log files.",
			Parameters: []KindField{
				{Name: "since_hours", Kind: "integer", Title: "Last", Unit: "hours", Min: 1, Max: 744},
				{Name: "unit", Kind: "text", Title: "Service", Description: "Left out: the whole journal.", MaxLen: 200},
				{Name: "files", Kind: "list", Title: "Files", Description: "Patterns below /var/log; left out: the usual ones."},
				{Name: "max_bytes", Kind: "integer", Title: "Largest bundle", Unit: "bytes", Min: 64 << 10, Max: command.MaxFile},
			},
		},
		{
			Kind: string(command.RotateKey), Title: "Rotate the device key", Risk: "none",
			Description: "The device makes itself a new key, signed over by the old one, which is refused from then on.",
		},
	}
}

func (a *API) getCommandKinds(context.Context, *empty) (*body[List[KindBody]], error) {
	list := commandKinds()
	for i := range list {
		if list[i].Parameters == nil {
			list[i].Parameters = []KindField{}
		}
		for j := range list[i].Parameters {
			if list[i].Parameters[j].Choices == nil {
				list[i].Parameters[j].Choices = []KindChoice{}
			}
		}
	}
	return &body[List[KindBody]]{List[KindBody]{Items: list}}, nil
}
