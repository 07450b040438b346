package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/routing"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/kindlab-dev/kindlab/manifests/node/rules"
)

// runKubeRouter follows cmd/kube-router of kube-router, with its own flag sets: the process-wide ones carry the
// flags of every other part.
func runKubeRouter() {
	if err := kubeRouter(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func kubeRouter(args []string) error {
	config := options.NewKubeRouterConfig()
	flags := pflag.NewFlagSet("kube-router", pflag.ExitOnError)
	config.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	var logging flag.FlagSet
	klog.InitFlags(&logging)
	if err := logging.Parse([]string{"-logtostderr=true", "-v=" + config.VLevel}); err != nil {
		return err
	}
	client, err := inCluster()
	if err != nil {
		return fmt.Errorf("making kube-router's client: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return route(ctx, client, config)
}

// inCluster is a client that speaks protobuf, which costs both sides half of what JSON does.
func inCluster() (kubernetes.Interface, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return kubernetes.NewForConfig(config)
}

// route runs kube-router's routes and network policies until ctx ends, as (*cmd.KubeRouter).Run does, with a filter table
// that is remembered. Nothing of Services is announced to other nodes, so that nobody watches Services and Endpoints.
func route(ctx context.Context, client kubernetes.Interface, config *options.KubeRouterConfig) error {
	beats := make(chan *healthcheck.ControllerHeartbeat, 10)
	health, err := healthcheck.NewHealthController(config)
	if err != nil {
		return fmt.Errorf("making the health controller: %w", err)
	}
	watched := informers.NewSharedInformerFactory(client, 0)
	core := watched.Core().V1()
	nodes, pods, spaces := core.Nodes().Informer(), core.Pods().Informer(), core.Namespaces().Informer()
	policies := watched.Networking().V1().NetworkPolicies().Informer()
	watched.Start(ctx.Done())
	syncing, enough := context.WithTimeout(ctx, config.CacheSyncTimeout)
	defer enough()
	if !cache.WaitForCacheSync(syncing.Done(), nodes.HasSynced, pods.HasSynced, spaces.HasSynced, policies.HasSynced) {
		return fmt.Errorf("the API server did not tell of nodes, pods, namespaces and policies within %s", config.CacheSyncTimeout)
	}
	health.SetAlive()

	var ipsets sync.Mutex
	unwatched := informers.NewSharedInformerFactory(client, 0).Core().V1()
	routes, err := routing.NewNetworkRoutingController(client, config, nodes,
		unwatched.Services().Informer(), unwatched.Endpoints().Informer(), &ipsets) //nolint:staticcheck // it is what kube-router takes
	if err != nil {
		return fmt.Errorf("making the controller of routes: %w", err)
	}
	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return fmt.Errorf("looking for iptables and ipset: %w", err)
	}
	for family, table := range tables {
		tables[family] = rules.Remember(table)
	}
	firewall, err := netpol.NewNetworkPolicyController(client, config, pods, policies, spaces, &ipsets, tables, sets)
	if err != nil {
		return fmt.Errorf("making the controller of network policies: %w", err)
	}

	var running sync.WaitGroup
	begin := func(run func(*sync.WaitGroup)) {
		running.Add(1) // each of them calls Done
		go run(&running)
	}
	begin(func(wg *sync.WaitGroup) { health.RunServer(ctx.Done(), wg) })
	begin(func(wg *sync.WaitGroup) { health.RunCheck(beats, ctx.Done(), wg) })
	if _, err := nodes.AddEventHandler(routes.NodeEventHandler); err != nil {
		return fmt.Errorf("listening for nodes: %w", err)
	}
	// The rules of the pod network stand before those of the policies.
	routes.CNIFirewallSetup.L.Lock()
	begin(func(wg *sync.WaitGroup) { routes.Run(beats, ctx.Done(), wg) })
	routes.CNIFirewallSetup.Wait()
	routes.CNIFirewallSetup.L.Unlock()
	change := rules.Changes{Node: os.Getenv("NODE_NAME"), Policies: policies.GetStore(), Request: firewall.RequestFullSync}
	for informer, handler := range map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		pods: change.Pods(), spaces: change.Namespaces(), policies: firewall.NetworkPolicyEventHandler,
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("listening for what network policies are about: %w", err)
		}
	}
	begin(func(wg *sync.WaitGroup) { firewall.Run(beats, ctx.Done(), wg) })
	running.Wait()
	return nil
}
