package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kindlab-dev/kindlab/internal/term"
)

// TestMain makes this test binary the kindlab of the transcripts: the real Main in a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kindlab": func() { os.Exit(Main(context.Background(), term.System(), Build{Version: "v0.0.0-test"}, os.Args[1:])) },
	})
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir+"/home")
			env.Setenv("KINDLAB_LABS", "")
			// For transcripts that empty the PATH.
			kindlab, err := exec.LookPath("kindlab")
			if err != nil {
				return err
			}
			env.Setenv("KINDLAB", kindlab)
			return os.CopyFS(env.WorkDir+"/catalogue", os.DirFS("testdata/catalogue"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command and demands one exit code: `exits 2 kindlab list --bogus`. testscript itself tells only zero
// from the rest.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		if _, err := fmt.Sscanf(err.Error(), "exit status %d", &got); err != nil {
			ts.Fatalf("running %s: %v", args[1], err)
		}
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// run calls Main in this process, with an environment of its own.
func run(t *testing.T, o term.IO, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	o.Out, o.Err = &out, &talk
	if o.In == nil {
		o.In = strings.NewReader("")
	}
	env := map[string]string{"HOME": t.TempDir(), "KINDLAB_LABS": "testdata/catalogue"}
	o.LookupEnv = func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	if code := Main(t.Context(), &o, Build{Version: "v0.0.0-test"}, args); code != exitOK {
		t.Fatalf("%v: exit code %d, stderr:\n%s", args, code, talk.String())
	}
	return out.String(), talk.String()
}

func TestATerminalGetsMore(t *testing.T) {
	t.Parallel()
	view := term.View{Terminal: true, Color: true, Width: 80}
	table, _ := run(t, term.IO{OutView: view}, "list")
	if !strings.Contains(table, "NAME ") {
		t.Errorf("list on a terminal has no heading:\n%s", table)
	}
	piped, talk := run(t, term.IO{}, "list")
	if strings.Contains(piped, "NAME") || !strings.Contains(piped, "\t") {
		t.Errorf("list in a pipe:\n%s", piped)
	}
	if talk != "" {
		t.Errorf("list said %q", talk)
	}
	story, _ := run(t, term.IO{OutView: view}, "show", "lonely-service")
	if strings.Contains(story, "`kubectl`") || !strings.Contains(story, "kubectl") {
		t.Errorf("show on a terminal is raw Markdown:\n%s", story)
	}
}

func TestEveryCommandIsDocumented(t *testing.T) {
	t.Parallel()
	home := func(name string) (string, bool) { return "/nowhere", name == "HOME" }
	d, err := newDeps(&term.IO{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, LookupEnv: home}, Build{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range newRoot(d).Commands() {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short text %q", cmd.Name(), cmd.Short)
		}
		if cmd.Runnable() && cmd.GroupID == "" && !slices.Contains([]string{"version", "completion", "help"}, cmd.Name()) {
			t.Errorf("%s is in no group", cmd.Name())
		}
	}
}
