package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// Lengths on the page, in millimetres; A4 upright.
const (
	margin     = 14.0
	width      = 210 - 2*margin
	lineHeight = 4.6
	bottom     = 18.0 // the footer's
)

const font = "go"

// document is a PDF with the organisation and the page on every sheet.
type document struct {
	*fpdf.Fpdf
	head Head
}

type column struct {
	title string
	width float64
	align string // "R", "" left
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 MST") }

func newDocument(h Head) *document {
	d := &document{Fpdf: fpdf.New("P", "mm", "A4", ""), head: h}
	d.AddUTF8FontFromBytes(font, "", goregular.TTF)
	d.AddUTF8FontFromBytes(font, "B", gobold.TTF)
	d.SetTitle(h.Title+" of "+h.Organisation, true)
	d.SetAuthor(h.Organisation, true)
	d.SetProducer("Handrail", true)
	d.SetCreationDate(h.MadeAt)
	d.SetModificationDate(h.MadeAt)
	d.SetCatalogSort(true)
	d.SetLang("en")
	d.SetMargins(margin, margin+10, margin)
	d.SetAutoPageBreak(true, bottom)
	d.AliasNbPages("{pages}")
	d.SetHeaderFunc(func() {
		d.SetY(margin - 4)
		d.SetFont(font, "", 8)
		d.SetTextColor(110, 110, 110)
		d.CellFormat(width/2, lineHeight, clean(h.Organisation), "", 0, "L", false, 0, "")
		d.CellFormat(width/2, lineHeight, clean(h.Title), "", 1, "R", false, 0, "")
		d.SetTextColor(0, 0, 0)
		d.SetY(margin + 10)
	})
	d.SetFooterFunc(func() {
		d.SetY(-12)
		d.SetFont(font, "", 8)
		d.SetTextColor(110, 110, 110)
		d.CellFormat(width*0.75, lineHeight, "State of "+stamp(h.At)+". Made "+stamp(h.MadeAt)+" by "+clean(h.MadeBy)+".", "", 0, "L", false, 0, "")
		d.CellFormat(width*0.25, lineHeight, fmt.Sprintf("Page %d of {pages}", d.PageNo()), "", 0, "R", false, 0, "")
		d.SetTextColor(0, 0, 0)
	})
	d.AddPage()
	d.SetFont(font, "B", 20)
	d.MultiCell(width, 9, clean(h.Title), "", "L", false)
	d.SetFont(font, "", 11)
	d.MultiCell(width, 6, clean(h.Organisation)+"\n"+clean(h.Scope)+"\nState of "+stamp(h.At), "", "L", false)
	return d
}

// clean drops what the font cannot draw or would break the line: characters beyond the
// basic plane and controls.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff || r < ' ' && r != '\n' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

func (d *document) heading(s string) {
	d.room(20)
	d.Ln(6)
	d.SetFont(font, "B", 13)
	d.CellFormat(width, 8, clean(s), "", 1, "L", false, 0, "")
	d.SetFont(font, "", 9)
}

func (d *document) text(s string) {
	d.SetFont(font, "", 9)
	d.MultiCell(width, lineHeight, clean(s), "", "L", false)
	d.Ln(1)
}

// room begins a new page when less than h is left of this one.
func (d *document) room(h float64) {
	_, page := d.GetPageSize()
	if d.GetY()+h > page-bottom {
		d.AddPage()
	}
}

// table draws rows under a header that comes again on every page. Long cells take lines.
func (d *document) table(columns []column, rows [][]string) {
	d.tableHead(columns)
	d.SetFont(font, "", 8.5)
	for i, row := range rows {
		lines := make([][]string, len(columns))
		most := 1
		for j, c := range columns {
			lines[j] = d.SplitText(clean(row[j]), c.width)
			most = max(most, len(lines[j]))
		}
		h := float64(most)*lineHeight + 1
		_, page := d.GetPageSize()
		if d.GetY()+h > page-bottom {
			d.AddPage()
			d.tableHead(columns)
			d.SetFont(font, "", 8.5)
		}
		y := d.GetY()
		if i%2 == 1 {
			d.SetFillColor(246, 247, 249)
			d.Rect(margin, y, total(columns), h, "F")
		}
		x := margin
		for j, c := range columns {
			for k, l := range lines[j] {
				d.SetXY(x, y+0.5+float64(k)*lineHeight)
				d.CellFormat(c.width, lineHeight, l, "", 0, c.align, false, 0, "")
			}
			x += c.width
		}
		d.SetXY(margin, y+h)
	}
	d.Ln(2)
}

func (d *document) tableHead(columns []column) {
	d.room(3 * lineHeight)
	d.SetFont(font, "B", 8.5)
	d.SetFillColor(230, 233, 238)
	for _, c := range columns {
		d.CellFormat(c.width, lineHeight+1.5, clean(c.title), "", 0, c.align, true, 0, "")
	}
	d.Ln(-1)
}

func total(columns []column) float64 {
	sum := 0.0
	for _, c := range columns {
		sum += c.width
	}
	return sum
}

// device draws one device and what is wrong with it.
func (d *document) device(dev ComplianceDevice) {
	d.room(42) // the name, the table's head and a row stay together
	d.Ln(2)
	d.SetFont(font, "B", 10)
	d.CellFormat(width, 6, clean(dev.Name), "", 1, "L", false, 0, "")
	d.SetFont(font, "", 8.5)
	d.SetTextColor(90, 90, 90)
	d.CellFormat(width, lineHeight, clean(dev.Group)+": "+words(dev.Overall), "", 1, "L", false, 0, "")
	d.SetTextColor(0, 0, 0)
	rows := make([][]string, len(dev.Lines))
	for i, l := range dev.Lines {
		state := words(l.State)
		if !l.Until.IsZero() {
			state += "\nuntil " + l.Until.UTC().Format(time.DateOnly)
		}
		rows[i] = []string{string(l.Severity), l.Title, state, l.Since.UTC().Format(time.DateOnly), l.Evidence}
	}
	d.table([]column{{"Severity", 16, ""}, {"Rule", 54, ""}, {"State", 28, ""}, {"Since", 22, ""}, {"Observed", 62, ""}}, rows)
}

func (d *document) write(w io.Writer) error {
	if err := d.Error(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := d.Output(w); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
