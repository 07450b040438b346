package check

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// target is where packets go: pods on a port, or the cluster's DNS for a name.
type target struct {
	Pods      string `yaml:"pods" doc:"label selector of the pods, such as app=db"`
	Namespace string `yaml:"namespace" doc:"of the pods; the lab's first unless told"`
	Port      int    `yaml:"port" doc:"port of the pods, 1 to 65535"`
	Protocol  string `yaml:"protocol" doc:"tcp (the default) or udp"`
	Lookup    string `yaml:"lookup" doc:"in place of pods and port: a name; allow means that it resolves"`
}

func (t *target) compile(s Scope, n lab.Node) lab.Problems {
	if t.Lookup != "" {
		if t.Pods != "" || t.Port != 0 {
			return lab.Problems{n.Problem("expected either lookup, or pods and port")}
		}
		// Cluster DNS is what answers: its pods are the positive control.
		set := clusterDNS()
		t.Namespace, t.Pods = set.Namespace, set.Pods
		return nil
	}
	var problems lab.Problems
	if t.Port < 1 || t.Port > 65535 {
		problems = append(problems, n.Field("port").Problem("expected a port from 1 to 65535, found %d", t.Port))
	}
	switch t.Protocol {
	case "":
		t.Protocol = "tcp"
	case "tcp", "udp":
	default:
		problems = append(problems, n.Field("protocol").Problem("expected tcp or udp, found %q", t.Protocol))
	}
	set := t.set()
	problems = append(problems, set.compile(s, n)...)
	t.Namespace = set.Namespace
	return problems
}

func (t target) set() podSet { return podSet{Pods: t.Pods, Namespace: t.Namespace} }

func (t target) job(a, b corev1.Pod) probe.Job {
	j := jobFrom(a)
	j.Timeout = allowTimeout
	if t.Lookup != "" {
		j.Proto, j.Host = dial.DNS, t.Lookup
		return j
	}
	j.Proto, j.Host, j.Port = dial.Proto(t.Protocol), b.Status.PodIP, t.Port
	return j
}

// way is the port of the target's pods and the protocol that it is asked by.
func (t target) way() (int, corev1.Protocol) {
	switch {
	case t.Lookup != "":
		return dnsPort, corev1.ProtocolUDP
	case t.Protocol == "udp":
		return t.Port, corev1.ProtocolUDP
	}
	return t.Port, corev1.ProtocolTCP
}
