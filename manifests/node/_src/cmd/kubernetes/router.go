package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/cloudnativelabs/kube-router/v2/pkg/cmd"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
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
	router, err := cmd.NewKubeRouterDefault(config)
	if err != nil {
		return fmt.Errorf("reading kube-router's configuration: %w", err)
	}
	return router.Run()
}
