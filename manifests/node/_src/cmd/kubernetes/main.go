// Command kubernetes is every Kubernetes part of a node in one binary, told apart by the name it is called by.
//
// The parts share most of their packages: one link and one file replace ten, in the time to build, in the image,
// and in the page cache of a running node.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // CronJob time zones

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's login plugins
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmutil "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	parts := map[string]func(){
		"kubelet":                 run(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
		"kube-apiserver":          run(apiserver.NewAPIServerCommand),
		"kube-controller-manager": run(controllermanager.NewControllerManagerCommand),
		"kube-scheduler":          run(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kube-proxy":              run(proxy.NewProxyCommand),
		"kube-router":             runKubeRouter,
		"kubeadm":                 func() { kubeadmutil.HandleError(kubeadm.Run()) },
		"kubectl":                 runKubectl,
		"etcd":                    func() { etcdmain.Main(os.Args) },
	}
	name := filepath.Base(os.Args[0])
	part, ok := parts[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "%s: not one of this binary's names (kubelet, kubeadm, kubectl, kube-apiserver, …)\n", name)
		os.Exit(2)
	}
	part()
}

// run defers making the command to the moment its name is known: building one registers flags and feature gates
// for the whole process.
func run(command func() *cobra.Command) func() {
	return func() { os.Exit(cli.Run(command())) }
}

// runKubectl follows cmd/kubectl/kubectl.go of k8s.io/kubernetes.
func runKubectl() {
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}
