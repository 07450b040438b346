package check

// Whoever watches looks again at a check that probes, also where no object has changed: packets, programs and nodes
// tell the API nothing of their changes.

// Probes is true: packets are sent.
func (reach) Probes() bool { return true }

// Probes is true: packets are sent.
func (httpCheck) Probes() bool { return true }

// Probes is true: packets are sent.
func (resolve) Probes() bool { return true }

// Probes is true: a program is run.
func (execCheck) Probes() bool { return true }

// Probes is true: a program's words are read.
func (logs) Probes() bool { return true }

// Probes is true: a node is looked at.
func (nodeCheck) Probes() bool { return true }

// Probes is true: the learner writes the answer where no cluster sees it.
func (answer) Probes() bool { return true }

// Probes tells whether one of the nested checks does.
func (c compound) Probes() bool { return anyProbes(c.checks) }

// Probes tells whether one of the nested checks does.
func (s survives) Probes() bool { return anyProbes(s.then) }

func anyProbes(checks []Check) bool {
	for _, c := range checks {
		if p, ok := c.(interface{ Probes() bool }); ok && p.Probes() {
			return true
		}
	}
	return false
}
