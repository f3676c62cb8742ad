package field

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
)

// colour is a type of text with few values.
type colour string

func parseColour(text string) (colour, error) {
	if text != "red" && text != "green" {
		return "", fmt.Errorf("%q is not red or green", text)
	}
	return colour(text), nil
}

// pen has a field of each kind.
type pen struct {
	Owner   string
	Colours []colour
	Ink     colour
	Full    bool
	Dries   time.Duration
	Code    string
	Edition time.Duration
	Made    time.Time
}

var pens = Set[pen]{
	String("owner", "Whose it is.", func(p *pen) *string { return &p.Owner }).Required().Fixed().Label("Owner's name"),
	Texts("colours", "What it writes in.", parseColour, func(p *pen) *[]colour { return &p.Colours }).Default([]string{"red"}),
	Text("ink", "What is in it.", parseColour, func(p *pen) *colour { return &p.Ink }).Default("green").OneOf("red", "green"),
	Bool("full", "Whether it writes.", func(p *pen) *bool { return &p.Full }).Default(true),
	Seconds("dries", "How soon it dries.", func(p *pen) *time.Duration { return &p.Dries }).Default("90m"),
	String("code", "How to unlock it.", func(p *pen) *string { return &p.Code }).Hidden(),
	Seconds("edition", "Which it is.", func(p *pen) *time.Duration { return &p.Edition }),
	Time("made", "When it was made.", func(p *pen) *time.Time { return &p.Made }),
}

// request is what a client sends, as it arrives: JSON.
func request(t *testing.T, body string) *framework.FieldData {
	t.Helper()
	raw := map[string]any{}
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil {
		t.Fatal(err)
	}
	return &framework.FieldData{Raw: raw, Schema: pens.Schema(nil)}
}

func aPen() *pen {
	return &pen{
		Owner: "Ada", Colours: []colour{"green", "red"}, Ink: "red", Dries: time.Minute, Code: "1234",
		Made: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)),
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	fresh := pen{Owner: "Ada", Colours: []colour{"red"}, Ink: "green", Full: true, Dries: 90 * time.Minute}
	with := func(change func(*pen)) pen {
		p := fresh
		change(&p)
		return p
	}
	for _, test := range []struct {
		body   string
		want   pen
		reason string
	}{
		{`{"owner":"Ada"}`, fresh, "every default"},
		{`{"owner":"Ada","colours":null,"ink":null,"full":null,"dries":null}`, fresh, "null counts as not sent"},
		{`{"owner":"Ada","full":false}`, with(func(p *pen) { p.Full = false }), "false is sent"},
		{`{"owner":"Ada","dries":0}`, with(func(p *pen) { p.Dries = 0 }), "zero is sent"},
		{`{"owner":"Ada","colours":[]}`, with(func(p *pen) { p.Colours = []colour{} }), "an empty list is sent"},
		{`{"owner":"Ada","colours":"green,red"}`, with(func(p *pen) { p.Colours = []colour{"green", "red"} }), "a list as text, in its order"},
		{`{"owner":"Ada","colours":["green","red","green"]}`, with(func(p *pen) { p.Colours = []colour{"green", "red", "green"} }), "nothing is sorted or dropped"},
		{`{"owner":"Ada","dries":"2h"}`, with(func(p *pen) { p.Dries = 2 * time.Hour }), "a duration with a unit"},
		{`{"owner":"Ada","dries":"45"}`, with(func(p *pen) { p.Dries = 45 * time.Second }), "a duration as text, in seconds"},
		{`{"owner":"Ada","full":"false"}`, with(func(p *pen) { p.Full = false }), "a boolean as text, as the command line sends it"},
		{`{"owner":7}`, with(func(p *pen) { p.Owner = "7" }), "a number for a text"},
		{`{"owner":"Ada","code":""}`, fresh, "an empty text"},
		{`{"owner":"Ada","made":"2020-01-01T00:00:00Z","unknown":1}`, fresh, "a field of answers only, and one that does not exist"},
	} {
		got, err := pens.Create(request(t, test.body))
		if err != nil || !reflect.DeepEqual(*got, test.want) {
			t.Errorf("%s: %+v, %v, want %+v (%s)", test.body, got, err, test.want, test.reason)
		}
	}
}

func TestUpdateChangesWhatWasSent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		body   string
		want   func(*pen)
		reason string
	}{
		{`{}`, func(*pen) {}, "nothing was sent; defaults are for new records"},
		{`{"owner":null,"colours":null,"ink":null,"full":null,"dries":null,"code":null}`, func(*pen) {}, "null counts as not sent"},
		{`{"ink":"green"}`, func(p *pen) { p.Ink = "green" }, "one field"},
		{`{"colours":[]}`, func(p *pen) { p.Colours = []colour{} }, "a list is made empty"},
		{`{"colours":""}`, func(p *pen) { p.Colours = []colour{} }, "an empty text is an empty list"},
		{`{"code":""}`, func(p *pen) { p.Code = "" }, "a text is made empty"},
		{`{"full":true}`, func(p *pen) { p.Full = true }, "a boolean"},
		{`{"dries":0}`, func(p *pen) { p.Dries = 0 }, "a duration"},
		{`{"owner":"Ada"}`, func(*pen) {}, "a fixed field with its own value"},
	} {
		rec := aPen()
		want := aPen()
		test.want(want)
		got, err := pens.Update(rec, request(t, test.body))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v (%s)", test.body, got, err, want, test.reason)
		}
		if !reflect.DeepEqual(rec, aPen()) {
			t.Errorf("%s: the record itself was changed to %+v", test.body, rec)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		body   string
		create []string // what the error says; empty: none
		update []string
	}{
		{`{}`, []string{"owner is required"}, nil},
		{`{"owner":null}`, []string{"owner is required"}, nil},
		{`{"owner":""}`, []string{"owner is required; send"}, []string{"owner is required; send"}},
		{`{"owner":"Bob"}`, nil, []string{`owner is fixed at creation: it is "Ada" and cannot become "Bob"`}},
		{`{"owner":["Ada"]}`, []string{"owner must be a text"}, []string{"owner must be a text"}},
		{`{"owner":"Ada","colours":{"a":1}}`, []string{"colours must be a list of texts"}, []string{"colours must be a list of texts"}},
		{`{"owner":"Ada","full":"perhaps"}`, []string{"full must be true or false"}, []string{"full must be true or false"}},
		{`{"owner":"Ada","dries":"soon"}`, []string{"dries must be a duration"}, []string{"dries must be a duration"}},
		{`{"owner":"Ada","dries":-1}`, []string{"dries must be a duration that is not negative"}, []string{"not negative"}},
		{`{"owner":"Ada","dries":99999999999999}`, []string{"dries must be a duration"}, []string{"dries must be a duration"}},
		{`{"owner":"Ada","ink":"blue"}`, []string{`ink "blue" is not red or green`}, []string{`ink "blue" is not red or green`}},
		{
			`{"colours":["blue","red","black"],"ink":"blue","full":7.5,"dries":[]}`,
			[]string{"owner is required; ", `colours "blue" is not red or green; "black" is not red or green; `, "; ink ", "; full ", "; dries "},
			[]string{`colours "blue" is not red or green; "black" is not red or green; `, "; ink ", "; full ", "; dries "},
		},
	} {
		rec := aPen()
		_, createErr := pens.Create(request(t, test.body))
		_, updateErr := pens.Update(rec, request(t, test.body))
		says(t, "create "+test.body, createErr, test.create)
		says(t, "update "+test.body, updateErr, test.update)
		if !reflect.DeepEqual(rec, aPen()) {
			t.Errorf("%s: refused, but the record is %+v", test.body, rec)
		}
	}
}

func says(t *testing.T, doing string, err error, want []string) {
	t.Helper()
	if len(want) == 0 {
		if err != nil {
			t.Errorf("%s: %v", doing, err)
		}
		return
	}
	if _, ok := errors.AsType[Errors](err); !ok {
		t.Errorf("%s: the error is a %T: %v", doing, err, err)
		return
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: the error %q lacks %q", doing, err, part)
		}
	}
}

func TestALongListOfMistakesIsCut(t *testing.T) {
	t.Parallel()
	body := `{"owner":"Ada","colours":"` + strings.TrimSuffix(strings.Repeat("blue,", 100), ",") + `"}`
	_, err := pens.Create(request(t, body))
	if err == nil || strings.Count(err.Error(), "blue") != mostComplaints || !strings.HasSuffix(err.Error(), "; and 80 more") {
		t.Errorf("%v", err)
	}
}

// TestErrorsKeepWhatParsersSay holds that callers can ask for the reason.
func TestErrorsKeepWhatParsersSay(t *testing.T) {
	t.Parallel()
	cause := errors.New("must be odd")
	set := Set[pen]{Text("owner", "", func(string) (string, error) { return "", cause }, func(p *pen) *string { return &p.Owner })}
	_, err := set.Create(&framework.FieldData{Raw: map[string]any{"owner": "x"}})
	if !errors.Is(err, cause) || err.Error() != "owner must be odd" {
		t.Errorf("%v", err)
	}
}
