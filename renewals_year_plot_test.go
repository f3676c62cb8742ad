package pkiexternalca

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// The plot lies beside the document that shows it.
const (
	yearDocument = "docs/renewal.md"
	yearPlot     = "docs/renewal-year.svg"
	yearBegin    = "<!-- year: made by make renewal-plot -->\n"
	yearEnd      = "<!-- end of year -->\n"
)

// plot writes the orders of each day as a picture, and the figures into the
// document.
func (y *year) plot(f figures) {
	y.t.Helper()
	y.must(os.WriteFile(yearPlot, []byte(y.picture(f)), 0o644))
	text, err := os.ReadFile(yearDocument)
	y.must(err)
	before, rest, begun := strings.Cut(string(text), yearBegin)
	_, after, ended := strings.Cut(rest, yearEnd)
	if !begun || !ended {
		y.t.Fatalf("%s does not hold %q and %q", yearDocument, yearBegin, yearEnd)
	}
	y.must(os.WriteFile(yearDocument, []byte(before+yearBegin+f.table()+yearEnd+after), 0o644))
}

func (f figures) table() string {
	return fmt.Sprintf(`| | |
|---|---|
| certificates, each valid for %d days | %d |
| certificates served past their end | 0 |
| the least that was left of one when it was replaced | %d days |
| orders, the first ones included | %d |
| of them refused by the CA | %d |
| orders if nothing had gone wrong, renewed after exactly two thirds of the lifetime | %d |
| orders on a usual day | %d |
| orders on the busiest day | %d |
| orders in the busiest hour | %d |
`, lifeInYear/day, f.certificates, f.least/day, f.orders, f.failed, f.minimum, f.perDay, f.day, f.hour)
}

// picture draws a bar for each day; troubles are shaded.
func (y *year) picture(f figures) string {
	const width, height, left, top = 2, 160, 50, 10
	var out strings.Builder
	days := int(yearLength / day)
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", left+days*width+10, top+height+40)
	fmt.Fprintf(&out, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for _, spans := range [][]span{nodesAway, caSilent, caRefuses} {
		for _, s := range spans {
			fmt.Fprintf(&out, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#f4c7c3"/>`+"\n", left+s.from*width, top, max(s.to-s.from, 1)*width, height)
		}
	}
	for _, d := range newLeaders {
		fmt.Fprintf(&out, `<rect x="%.1f" y="%d" width="1" height="%d" fill="#888"/>`+"\n", left+d*width, top, height)
	}
	for d := range days {
		bar := y.perDay[d] * height / max(f.day, 1)
		fmt.Fprintf(&out, `<rect x="%d" y="%d" width="%d" height="%d" fill="#3367d6"/>`+"\n", left+d*width, top+height-bar, width, bar)
	}
	for _, n := range []int{0, f.perDay, f.day} {
		fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="end">%d</text>`+"\n", left-6, top+height-n*height/max(f.day, 1)+4, n)
	}
	for month := range 12 {
		at := time.Date(y.start.Year(), time.Month(month+1), 1, 0, 0, 0, 0, time.UTC)
		fmt.Fprintf(&out, `<text x="%d" y="%d">%s</text>`+"\n", left+int(at.Sub(y.start)/day)*width, top+height+16, at.Format("Jan"))
	}
	fmt.Fprintf(&out, `<text x="%d" y="%d">orders per day; red: Vault or the CA is away; grey: another leader</text>`+"\n</svg>\n", left, top+height+32)
	return out.String()
}
