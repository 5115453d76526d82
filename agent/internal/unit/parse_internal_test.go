package unit

import "testing"

// FuzzParse: a service's description is its author's.
func FuzzParse(f *testing.F) {
	f.Add("● cups.service loaded failed failed CUPS\nx@y.service loaded active running\n", "x@.service enabled enabled\n", "Id=a\nMainPID=-1\nRequires=a b\n")
	f.Fuzz(func(t *testing.T, units, files, show string) {
		for _, r := range parseUnits(units, parseFiles(files)) {
			if len(r.Name) > 256 || len(r.Description) > 200 {
				t.Errorf("row %+v", r)
			}
		}
		if d := detailsOf(parseShow(show)); d.PID < 0 || len(d.Needs) > 50 {
			t.Errorf("details %+v", d)
		}
	})
}
