package check

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// A NodeExecer is a Prober that also runs commands on nodes; probe.Session is one.
type NodeExecer interface {
	// Exec returns what a command wrote to stdout and its exit code; an error when it could not be run.
	Exec(ctx context.Context, node string, argv ...string) (stdout string, code int, err error)
}

// nodeKind looks at files and processes of nodes.
type nodeKind struct{}

func (nodeKind) Name() string { return "node" }

// Doc explains the kind.
func (nodeKind) Doc() Doc {
	return Doc{
		Text: `Looks at a node itself: a file, a process, or what a command says there. It is for labs about the kubelet,
static pods and certificates. It works on clusters of kindlab's own, whose nodes are containers; on others it could not
look. It only looks: a command must change nothing. Processes are found by the name of their program, those in containers
too.`,
		Example: `- node: {nodes: control-plane, file: /etc/kubernetes/manifests/web.yaml, contains: {matches: 'image: nginx'}}
- node: {nodes: all, process: kubelet}
- node: {nodes: worker, run: [systemctl, is-enabled, kubelet], contains: {equals: enabled}}
`,
		Params: nodeParams{},
	}
}

type nodeParams struct {
	Nodes    string   `yaml:"nodes,required" doc:"all, control-plane, worker, or a node's name; it has to be true of each"`
	File     string   `yaml:"file" doc:"a file that must be there"`
	Process  string   `yaml:"process" doc:"a program that must be running"`
	Run      []string `yaml:"run" doc:"a command and its arguments, run as root, without a shell"`
	Contains *words   `yaml:"contains" doc:"what the file, or the command's output, must be like"`
	ExitCode int      `yaml:"exitCode" doc:"of the command; 0 unless told"`
	Absent   bool     `yaml:"absent" doc:"the file must not be there, or the program not running"`
}

func (nodeKind) Compile(_ Scope, n lab.Node) (Check, lab.Problems) {
	var p nodeParams
	problems := n.Decode(&p)
	c := nodeCheck{nodes: p.Nodes, file: p.File, process: p.Process, run: p.Run, code: p.ExitCode, absent: p.Absent}
	given := 0
	for _, there := range []bool{p.File != "", p.Process != "", len(p.Run) > 0} {
		if there {
			given++
		}
	}
	if given != 1 {
		problems = append(problems, n.Problem("expected one of file, process and run"))
	}
	if p.File != "" && !path.IsAbs(p.File) {
		problems = append(problems, n.Field("file").Problem("expected an absolute path, found %q", p.File))
	}
	if p.Absent && (len(p.Run) > 0 || p.Contains != nil) {
		problems = append(problems, n.Field("absent").Problem("expected file or process alone: nothing is asked of what is absent"))
	}
	if p.ExitCode != 0 && len(p.Run) == 0 {
		problems = append(problems, n.Field("exitCode").Problem("expected run: the exit code of which command?"))
	}
	if p.Contains != nil {
		if p.Process != "" {
			problems = append(problems, n.Field("contains").Problem("expected file or run: a process contains nothing"))
		}
		var found lab.Problems
		c.contains, found = p.Contains.compile(n.Field("contains"))
		problems = append(problems, found...)
	}
	return c, problems
}

type nodeCheck struct {
	nodes, file, process string
	run                  []string
	code                 int
	contains             *matcher
	absent               bool
}

func (nodeCheck) Changes() bool { return false }

func (nodeCheck) Objects() []Dependency { return []Dependency{{Resource: nodeObjects()}} }

func (n nodeCheck) Run(ctx context.Context, c *Cluster) error {
	on, ok := c.Prober.(NodeExecer)
	if !ok {
		return fmt.Errorf("the nodes of this cluster take no commands: that works on clusters that kindlab made")
	}
	names, err := n.chosen(ctx, c)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := n.one(ctx, on, name); err != nil {
			return err
		}
	}
	return nil
}

// chosen lists the nodes that are meant.
func (n nodeCheck) chosen(ctx context.Context, c *Cluster) ([]string, error) {
	list, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	var names []string
	for _, node := range list.Items {
		if n.means(&node) {
			names = append(names, node.Name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the cluster has no node that is meant by %q", n.nodes)
	}
	slices.Sort(names)
	return names, nil
}

func (n nodeCheck) means(node *corev1.Node) bool {
	_, controls := node.Labels["node-role.kubernetes.io/control-plane"]
	switch n.nodes {
	case "all":
		return true
	case "control-plane":
		return controls
	case "worker":
		return !controls
	default:
		return node.Name == n.nodes
	}
}

func (n nodeCheck) one(ctx context.Context, on NodeExecer, node string) error {
	switch {
	case n.file != "":
		return n.fileOn(ctx, on, node)
	case n.process != "":
		return n.processOn(ctx, on, node)
	}
	out, code, err := on.Exec(ctx, node, n.run...)
	f := &Failure{Look: "kubectl describe node " + node, More: lastLines(out)}
	command := brief(strings.Join(n.run, " "))
	switch {
	case err != nil:
		return err
	case code == 126 || code == 127: // what a shell says of a command that it could not start
		return fmt.Errorf("node %s has no command %s", node, n.run[0])
	case code != n.code:
		f.Is, f.Want = fmt.Sprintf("%s on node %s ends with exit code %d", command, node, code), fmt.Sprint(n.code)
	case n.contains != nil && !n.contains.matches(out):
		f.Is, f.Want = fmt.Sprintf("%s on node %s writes %q", command, node, brief(out)), "output that "+n.contains.String()
	default:
		return nil
	}
	return f
}

// notOnNode is what the scripts below exit with.
const notOnNode = 44

func (n nodeCheck) fileOn(ctx context.Context, on NodeExecer, node string) error {
	script := fmt.Sprintf(`[ -e "$0" ] || exit %d; [ ! -f "$0" ] || cat -- "$0"`, notOnNode)
	out, code, err := on.Exec(ctx, node, "sh", "-c", script, n.file)
	f := &Failure{Look: "kubectl describe node " + node}
	switch {
	case err != nil:
		return err
	case code != 0 && code != notOnNode:
		return fmt.Errorf("reading %s on node %s: exit code %d", n.file, node, code)
	case n.absent && code == 0:
		f.Is, f.Want = fmt.Sprintf("node %s has %s", node, n.file), "no such file"
	case !n.absent && code == notOnNode:
		f.Is, f.Want = fmt.Sprintf("node %s has no %s", node, n.file), "that file"
	case n.contains != nil && !n.contains.matches(out):
		f.Is, f.Want = fmt.Sprintf("%s on node %s is otherwise", n.file, node), "a file that "+n.contains.String()
		f.More = lastLines(out)
	default:
		return nil
	}
	return f
}

// processOn reads the names that the kernel keeps: their first 15 characters.
func (n nodeCheck) processOn(ctx context.Context, on NodeExecer, node string) error {
	script := fmt.Sprintf(`for f in /proc/[0-9]*/comm; do { read -r c <"$f"; } 2>/dev/null && [ "$c" = "$0" ] && exit 0; done; exit %d`, notOnNode)
	_, code, err := on.Exec(ctx, node, "sh", "-c", script, n.process[:min(15, len(n.process))])
	switch {
	case err != nil:
		return err
	case code != 0 && code != notOnNode:
		return fmt.Errorf("listing the processes of node %s: exit code %d", node, code)
	case (code == 0) == n.absent:
		f := &Failure{Is: fmt.Sprintf("%s is not running on node %s", n.process, node), Want: "that process", Look: "kubectl describe node " + node}
		if n.absent {
			f.Is, f.Want = fmt.Sprintf("%s is running on node %s", n.process, node), "no such process"
		}
		return f
	}
	return nil
}
