package cluster

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

func TestScriptArguments(t *testing.T) {
	t.Parallel()
	args := scriptArgs("kindlab-script-x", beside{"k-control-plane", "sha256:1", "kind"}, 1234, map[string]string{"NAMESPACE": "shop"})
	line := " " + strings.Join(args, " ") + " "
	for _, want := range []string{
		" --network kind ", " --read-only ", " --cap-drop ALL ", " --security-opt no-new-privileges ", " --user 65534:65534 ",
		" --pids-limit ", " --memory ", " --rm ", " --env NAMESPACE=shop ", " sha256:1 -c ", " bash 1234 ", " --pull never ",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
	for _, never := range []string{"--volume", "-v", "--mount", "--privileged"} {
		if slices.Contains(args, never) {
			t.Errorf("%s is among the arguments", never)
		}
	}
}

// The line that unpacks stdin is tried here: what it makes of kubeconfig and script must be what went in.
func TestScriptComesBehindItsKubeconfig(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatalf("scripts of labs are run by bash: %v", err)
	}
	config := "apiVersion: v1\nkind: Config\n# no newline at the end"
	script := "cat \"$KUBECONFIG\"; echo; cat; echo done"
	args := scriptArgs("x", beside{"n", "i", "net"}, len(config), nil)
	line := strings.ReplaceAll(args[len(args)-3], "/tmp/", t.TempDir()+"/")
	cmd := exec.CommandContext(t.Context(), bash, "-c", line, "bash", args[len(args)-1])
	cmd.Env = []string{"KUBECONFIG=" + t.TempDir() + "/config", "PATH=/usr/bin:/bin"}
	cmd.Stdin = strings.NewReader(config + script)
	out, err := cmd.CombinedOutput()
	if want := config + "\ndone\n"; err != nil || string(out) != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}

func TestInside(t *testing.T) {
	t.Parallel()
	config, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:  map[string]*clientcmdapi.Cluster{"a": {Server: "https://127.0.0.1:41234", TLSServerName: "x"}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"a": {Token: "t"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := inside(config, "k-control-plane")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server: https://k-control-plane:6443", "token: t"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if _, err := inside([]byte("\tno"), "x"); err == nil {
		t.Error("no kubeconfig was taken for one")
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("line\n", 100)
	for _, tt := range []struct{ wrote, want string }{
		{"", ", and it wrote nothing"},
		{"\n\n", ", and it wrote nothing"},
		{"a\nb\n", "; its last words:\na\nb"},
		{long + "end", "; its last words:\nline\nline\nline\nend"},
	} {
		last := &tail{limit: 20}
		for part := range slices.Chunk([]byte(tt.wrote), 7) {
			if n, err := last.Write(part); n != len(part) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		}
		if got := last.quoted(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestScriptsNeedAClusterOfOurOwn(t *testing.T) {
	t.Parallel()
	err := (&Cluster{Name: "theirs"}).Scripts().Run(t.Context(), lab.File{Path: "a.sh"}, nil, nil, nil)
	if err == nil || !strings.Contains(err.Error(), `kindlab did not make cluster "theirs"`) {
		t.Errorf("got %v", err)
	}
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		t.Error("something was run")
	}
}
