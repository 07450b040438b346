//go:build e2e

package check_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// A Service whose one endpoint the test chooses.
const chosen = `
apiVersion: v1
kind: Service
metadata: {namespace: probes-shop, name: chosen}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: probes-shop, name: chosen, labels: {kubernetes.io/service-name: chosen}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [%s], conditions: {ready: true}}]
`

// stalePorts are those that a connection was tried from which nobody answered: for two minutes the node sends whatever
// comes from them to the address that was silent, though the Service leads to a pod by then. The kernel gives ports out in
// turn, with gaps of eight or so, and comes to those of the first thousand again after some four thousand.
func stalePorts(t *testing.T, c *check.Cluster) {
	t.Helper()
	front, web := onePod(t, c, "app=front"), onePod(t, c, "app=web")
	nobody := netip.MustParsePrefix(web.Status.PodIP + "/24").Masked().Addr().As4()
	nobody[3] = 250 // a node has few pods, and gives their addresses in turn
	apply(t, c, fmt.Sprintf(chosen, netip.AddrFrom4(nobody)))
	service, err := c.Owner.Kube.CoreV1().Services(shop).Get(t.Context(), "chosen", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	knock := func(times int, limit time.Duration) (seen map[dial.Result]int) {
		jobs := make([]probe.Job, times)
		for i := range jobs {
			jobs[i] = probe.Job{
				PodIP: front.Status.PodIP, PodUID: string(front.UID), Node: front.Spec.NodeName,
				Proto: dial.TCP, Host: service.Spec.ClusterIP, Port: 80, Timeout: limit,
			}
		}
		seen = map[dial.Result]int{}
		for _, o := range c.Prober.Probe(t.Context(), jobs) {
			seen[o.Result]++
		}
		return seen
	}
	// Of an address that nobody has, the node says now and then that there is no way to it.
	silent := func(seen map[dial.Result]int) int { return seen[dial.Timeout] + seen[dial.Unreachable] }
	until := func(what string, times int, right func(map[dial.Result]int) bool) {
		for start := time.Now(); !right(knock(times, time.Second)); time.Sleep(100 * time.Millisecond) {
			if time.Since(start) > 20*time.Second {
				t.Fatalf("the Service's rules did not follow: no %s", what)
			}
		}
	}
	const times = 1000
	// Not one alone: nobody answers either where the node has not heard of the Service yet, and then it refuses for a moment.
	until("silence", times, func(seen map[dial.Result]int) bool { return silent(seen) == times })
	apply(t, c, fmt.Sprintf(chosen, web.Status.PodIP))
	until("answer", 1, func(seen map[dial.Result]int) bool { return seen[dial.OK] == 1 })
	for range 6 {
		if seen := knock(times, 10*time.Second); seen[dial.OK] != times {
			t.Fatalf("some met who was silent before: %v", seen)
		}
	}
}
