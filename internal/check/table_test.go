package check

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTables(t *testing.T) {
	t.Parallel()
	got, problems := tableText{text: "from   db    web\nshop  allow  deny\n\nbank   -    allow\n"}.parse([]string{"shop", "bank"}, []string{"db", "web"})
	if problems != nil {
		t.Fatal(problems)
	}
	want := table{
		rows: []string{"shop", "bank"}, columns: []string{"db", "web"},
		allow: map[[2]string]bool{{"shop", "db"}: true, {"shop", "web"}: false, {"bank", "web"}: true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(table{})); diff != "" {
		t.Error(diff)
	}
	drawn := got.draw(map[[2]string]bool{{"shop", "db"}: true, {"shop", "web"}: true, {"bank", "web"}: false})
	lines := []string{
		"      db                 web",
		"shop  open               open, want closed",
		"bank  -                  closed, want open",
	}
	if diff := cmp.Diff(lines, drawn); diff != "" {
		t.Error(diff)
	}
}

func TestBadTablesAreReportedAtTheirLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, table string
		want        []string
	}{
		{"no corner", "db\nshop allow", []string{"5:1: expected a head: from and the names of targets", `6:1: expected a client and 0 cells, found 1`}},
		{"no target", "from\nshop", []string{"5:1: expected a head: from and the names of targets"}},
		{"unknown target", "from dc\nshop allow", []string{`5:1: unknown target "dc", expected one of db, web`}},
		{"unknown client", "from db\nshop allow\nbunk deny", []string{`7:1: unknown client "bunk", expected one of bank, shop`}},
		{"a cell too few", "from db web\nshop allow", []string{"6:1: expected a client and 2 cells, found 1"}},
		{"a cell too many", "from db\nshop allow deny", []string{"6:1: expected a client and 1 cells, found 2"}},
		{"another word", "from db\nshop yes", []string{`6:1: expected allow, deny or -, found "yes"`}},
		{"a client twice", "from db\nshop allow\nshop deny", []string{`7:1: client "shop" has two lines`}},
		{"asks nothing", "from db\nshop -", []string{"4:17: expected at least one cell with allow or deny"}},
		{"only a head", "from db", []string{"4:17: expected at least one cell with allow or deny"}},
		{"several", "from dc web\nshop allow\nbunk no -", []string{`5:1: unknown target "dc"`, "6:1: expected a client and 2 cells", `7:1: unknown client "bunk"`, `7:1: expected allow, deny or -, found "no"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := compile(t, reachOf(tt.table))
			if len(problems) != len(tt.want) {
				t.Fatalf("got:\n%s\nwant:\n%s", strings.Join(problems, "\n"), strings.Join(tt.want, "\n"))
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(problems[i], want) {
					t.Errorf("got %q, want %q", problems[i], want)
				}
			}
		})
	}
	for _, text := range []string{"expect: ''", "expect: [a]", "expect: {a: b}", "expect:"} {
		_, problems := compile(t, "reach:\n  clients: {shop: {pods: app=shop}}\n  targets: {db: {pods: app=db, port: 5432}}\n  "+text)
		if len(problems) != 1 || !strings.Contains(problems[0], "expected a table: a line with from and the targets") {
			t.Errorf("%s: got %q", text, problems)
		}
	}
}

// reachOf is a check with that table, which begins on the fifth line.
func reachOf(table string) string {
	return `reach:
  clients: {shop: {pods: app=shop}, bank: {pods: app=bank}}
  targets: {db: {pods: app=db, port: 5432}, web: {pods: app=web, port: 80}}
  expect: |
    ` + strings.ReplaceAll(strings.TrimSpace(table), "\n", "\n    ")
}

// Whatever an author writes, either there are problems within the text, or the
// table asks something of known names only, and can be drawn.
func FuzzTable(f *testing.F) {
	for _, text := range []string{"from db\nshop allow", "from db web\nshop - deny\nbank allow allow", "from", "\n\nfrom db", "from db\nshop", "\x00\t-", "from db db\nshop allow deny"} {
		f.Add(text)
	}
	clients, targets := []string{"bank", "shop"}, []string{"db", "web"}
	f.Fuzz(func(t *testing.T, text string) {
		got, problems := tableText{text: text}.parse(clients, targets)
		for _, p := range problems {
			if p.Text == "" || p.Line < 0 || p.Line > strings.Count(text, "\n")+1 {
				t.Errorf("problem %+v in a text of %d lines", p, strings.Count(text, "\n")+1)
			}
		}
		if problems != nil {
			return
		}
		if len(got.allow) == 0 || len(got.rows) > len(clients) {
			t.Errorf("no problem, and %+v", got)
		}
		for cell := range got.allow {
			if !slices.Contains(clients, cell[0]) || !slices.Contains(targets, cell[1]) {
				t.Errorf("unknown cell %q", cell)
			}
		}
		right := got.draw(got.allow)
		if len(right) != len(got.rows)+1 || strings.Contains(strings.Join(right, ""), "want") {
			t.Errorf("drew a right table as %q", right)
		}
	})
}
