package term

import (
	"strings"
	"testing"
)

const page = "# The `db` is lonely\n\nNobody answers, and **nobody**\nknows why. See [the docs](https://k8s.io).\n\n" +
	"- look at the Service, then at the pods it selects\n  - and at their labels\n- then mend it\n\n1. first\n2. second\n\n" +
	"```sh\nkubectl  get pods -o wide --show-labels --all-namespaces\n```\n\n    indented  code\n\n> It is always\n> DNS.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"

func TestMarkdownInAPipeIsUntouched(t *testing.T) {
	t.Parallel()
	if got := (&IO{OutView: View{Width: 80}}).Markdown(page); got != page {
		t.Errorf("got:\n%s", got)
	}
}

func TestMarkdownWithoutColour(t *testing.T) {
	t.Parallel()
	got := (&IO{OutView: View{Terminal: true, Width: 40}}).Markdown(page)
	want := "\n" + strings.TrimPrefix(`
  The `+"`db`"+` is lonely

  Nobody answers, and **nobody** knows
  why. See the docs (https://k8s.io).

  • look at the Service, then at the
    pods it selects
    • and at their labels
  • then mend it

  1. first
  2. second

    kubectl  get pods -o wide --show-labels --all-namespaces

      indented  code

  │ It is always DNS.

  | a | b |
  |---|---|
  | 1 | 2 |

`, "\n")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestMarkdownWithColour(t *testing.T) {
	t.Parallel()
	got := (&IO{OutView: View{Terminal: true, Color: true, Width: 80}}).Markdown("Run `kubectl` **now**.\n")
	if want := "\n  Run \x1b[33mkubectl\x1b[0m \x1b[1mnow\x1b[0m.\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
