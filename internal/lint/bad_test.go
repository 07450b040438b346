package lint

import "strings"

// A badLab breaks one rule, and no other: want are its findings as file:line:column text.
type badLab struct {
	rule, name string
	changes    []change
	want       []string
}

func badLabs() []badLab {
	image := func(name string) []change {
		return []change{{"setup/bakery.yaml", "registry.k8s.io/e2e-test-images/agnhost:2.66.1", name}}
	}
	object := func(expect string) []change {
		return []change{{"lab.yaml", `"object.spec.ports.exists(p, p.port == 80)"`, expect}}
	}
	pod := func(field string) []change {
		return []change{{"setup/bakery.yaml", "      containers:", "      " + field + "\n      containers:"}}
	}
	container := func(field string) []change {
		return []change{{"setup/bakery.yaml", "        args:", "        " + field + "\n        args:"}}
	}
	check := func(text string) []change {
		return []change{{"lab.yaml", `    - object: {kind: Service, name: bread`, text + "\n" + `    - object: {kind: Service, name: bread`}}
	}
	const long = "a title that goes on and on, as if whoever reads it had all the time in the world, and a terminal without end"
	return []badLab{
		{"long-title", "of the lab", []change{{"lab.yaml", "title: The bread queue", "title: " + long}}, []string{"lab.yaml:5:10 a title of 109 characters"}},
		{"long-title", "of a task", []change{{"lab.yaml", "title: The till gets bread at http://bread", "title: " + long + " http://bread"}}, []string{"lab.yaml:14:12 a title of 122 characters"}},
		{"long-title", "of a mistake", []change{{"lab.yaml", "title: A,", "title: '" + long + "',"}}, []string{"lab.yaml:26:13 a title of 109 characters"}},
		{"answers", "none", []change{{"lab.yaml", "  answers: [\"How does a Service find its pods?\"]\n", ""}}, []string{"lab.yaml:5:10 the lab does not say which questions it answers"}},
		{"answers", "a statement", []change{{"lab.yaml", "its pods?", "its pods"}}, []string{`lab.yaml:6:13 "How does a Service find its pods" is no question`}},
		{"minutes", "too few", []change{{"lab.yaml", "minutes: 15", "minutes: 2"}}, []string{"lab.yaml:8:12 2 minutes are too few to learn something by doing it"}},
		{"minutes", "too many", []change{{"lab.yaml", "minutes: 15", "minutes: 30"}}, []string{"lab.yaml:8:12 30 minutes are long for the level beginner"}},
		{"unused-param", "nowhere", []change{{"lab.yaml", "params: {port:", "params: {colour: {oneOf: [red, blue]}, port:"}}, []string{"lab.yaml:10:12 nothing uses the parameter colour"}},
		{"literal", "a port in a URL", check(`    - http: {from: {pods: app=till}, url: "http://bread:8081/"}`), []string{`lab.yaml:21:43 port "8081" is in a check, and a learner cannot know it`}},
		{"literal", "a path", check(`    - http: {from: {pods: app=till}, url: "http://bread/secret"}`), []string{`lab.yaml:21:43 path "/secret" is in a check, and a learner cannot know it`}},
		{"literal", "a name", check(`    - rollout: {of: deployment/stove}`), []string{`lab.yaml:21:21 name "stove" is in a check, and a learner cannot know it`}},
		{"literal", "a label value", check(`    - resolve: {from: {pods: "app in (till, shelf)"}, name: bread}`), []string{`lab.yaml:21:30 label value "shelf" is in a check, and a learner cannot know it`}},
		{"literal", "within others", check(`    - any: [{all: [{rollout: {of: deployment/stove}}]}, {rollout: {of: deployment/oven}}]`), []string{`lab.yaml:21:35 name "stove" is in a check, and a learner cannot know it`}},
		{"literal", "of a safeguard", []change{{"lab.yaml", "  solutions:", "  safeguards: [{unchanged: [deployment/stove]}]\n  solutions:"}}, []string{`lab.yaml:22:29 name "stove" is in a check, and a learner cannot know it`}},
		{"cel-literal", "a name", object(`"object.spec.ports.exists(p, p.name == 'flour')"`), []string{`lab.yaml:21:53 name "flour" is in a check, and a learner cannot know it`}},
		{"cel-index", "the first", object(`"object.spec.ports[0].port == 80"`), []string{"lab.yaml:21:53 object.spec.ports[0] wants a list in one order"}},
		{"cel-index", "within a safeguard, with words", []change{{"lab.yaml", "  solutions:", "  safeguards:\n  - object:\n      kind: Service\n      name: bread\n      expect:\n      - {cel: \"object.spec.ports[?1].port.orValue(80) == 80\", says: no}\n  solutions:"}}, []string{"lab.yaml:27:15 object.spec.ports[1] wants a list in one order"}},
		{"cel-vacuous", "alone", object(`"object.spec.ports.all(p, p.port == 80)"`), []string{"lab.yaml:21:53 object.spec.ports.all(...) is true where there is none"}},
		{"cel-vacuous", "the size of another", object(`"size(object.spec.items) > 0 && object.spec.ports.all(p, p.port == 80)"`), []string{"lab.yaml:21:53 object.spec.ports.all(...) is true where there is none"}},
		{"structure", "objects alone", []change{{"lab.yaml", `    - http: {from: {pods: app=till}, url: "http://bread:${params.port}/hostname"}` + "\n", ""}}, []string{"lab.yaml:17:11 task shape looks at how objects are written, not at what they do"}},
		{"few-mistakes", "three", []change{{"lab.yaml", "  - {title: D, delete: [service/bread], fails: [bread], says: is gone, tell: Look again.}\n", ""}}, []string{"lab.yaml:26:3 3 mistakes"}},
		{"tell", "none", []change{{"lab.yaml", "fails: [shape], says: flat, tell: Look again.", "fails: [shape], says: flat"}}, []string{`lab.yaml:27:5 mistake "B" has nothing to tell`}},
		{"unfailed", "a task", []change{{"lab.yaml", "fails: [shape]", "fails: [bread]"}}, []string{"lab.yaml:17:11 no mistake fails the task shape"}},
		{"same-solution", "in other words", []change{
			{"lab.yaml", ", delete: [service/bread]}", "}"},
			{"solutions/two.yaml", "", "# Quite another way\nkind: Service\nspec: {selector: {app: till}}\nmetadata: {namespace: bakery, name: bread}\napiVersion: v1\n"},
		}, []string{`lab.yaml:24:5 solution "Two" makes the same objects as "One"`}},
		{"right-mistake", "of a solution's objects", []change{{"mistakes/a.yaml", "oven", "till"}}, []string{`lab.yaml:26:5 mistake "A" makes the same objects as the solution "One"`}},
		{"same-mistake", "in other words", []change{{"mistakes/b.yaml", "", "# another\n" + service("oven")}}, []string{`lab.yaml:27:5 mistake "B" makes the same objects as "A"`}},
		{"alike", "words within words", []change{{"lab.yaml", "says: is gone", "says: crumb"}}, []string{`lab.yaml:29:5 mistake "D" cannot be told from "A": it fails the same, in the same words`}},
		{"image-tag", "none", image("registry.k8s.io/pause # for once we want the newest"), []string{"setup/bakery.yaml:12:16 image registry.k8s.io/pause has no tag, and means latest"}},
		{"image-tag", "latest", image("localhost:5000/oven:latest # for once we want the newest"), []string{"setup/bakery.yaml:12:16 image localhost:5000/oven:latest is another one every day"}},
		{"image", "not on the nodes", image("nginx:1.99"), []string{"setup/bakery.yaml:12:16 image nginx:1.99 is not on the nodes"}},
		{"image", "of an init container", pod("initContainers: [{name: first, image: busybox:1.36}]"), []string{"setup/bakery.yaml:10:45 image busybox:1.36 is not on the nodes"}},
		{"download", "in a script", []change{{"mistakes/c.sh", "", "#!/bin/sh\n\napt-get -y install jq\n"}}, []string{"mistakes/c.sh:3:1 a download: apt-get -y install"}},
		{"download", "of a manifest", []change{{"mistakes/c.sh", "", "kubectl apply -f https://example.com/x.yaml\n"}}, []string{"mistakes/c.sh:1:1 a download: example.com"}},
		{"download", "in a command", container("command: [curl, -s, https://get.example.org/x]"), []string{"setup/bakery.yaml:13:18 a download: get.example.org"}},
		{"download", "in a shell's text", container("command:\n        - sh\n        - -c\n        - |\n          sleep 1\n          wget -q example.com/x"), []string{"setup/bakery.yaml:18:1 a download: example.com"}},
		{"privileged", "whatever is said", container("securityContext: {privileged: true} # we really need this"), []string{"setup/bakery.yaml:13:39 a privileged container: it owns the node, and what the node runs on"}},
		{"host", "the network", pod("hostNetwork: true"), []string{"setup/bakery.yaml:10:20 hostNetwork reaches beyond the lab"}},
		{"host", "a path", pod("volumes: [{name: v, hostPath: {path: /etc}}]"), []string{"setup/bakery.yaml:10:37 hostPath /etc reaches beyond the lab"}},
		{"host", "a port", container("ports: [{containerPort: 80, hostPort: 80}]"), []string{"setup/bakery.yaml:13:47 hostPort 80 reaches beyond the lab"}},
		{"host", "a capability", container("securityContext: {capabilities: {add: [CHOWN, SYS_ADMIN]}}"), []string{"setup/bakery.yaml:13:41 capability SYS_ADMIN reaches beyond the lab"}},
		{"host", "the cluster's administrator", []change{{"mistakes/a.yaml", "", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: x}\nroleRef: {name: cluster-admin, kind: ClusterRole}\n"}}, []string{"mistakes/a.yaml:4:10 cluster-admin reaches beyond the lab"}},
		{"old-api", "of extensions", []change{{"setup/bakery.yaml", "apps/v1", "extensions/v1beta1"}}, []string{"setup/bakery.yaml:1:13 Deployment of extensions/v1beta1 is of an older Kubernetes"}},
		{"old-api", "Endpoints", []change{{"solutions/one.yaml", "kind: Service", "kind: Endpoints"}}, []string{"solutions/one.yaml:2:7 Endpoints of v1 is of an older Kubernetes"}},
		{"old-api", "in a check", check("    - object: {kind: PodSecurityPolicy, apiVersion: policy/v1beta1, name: bread}"), []string{"lab.yaml:21:53 PodSecurityPolicy of policy/v1beta1 is of an older Kubernetes"}},
		{"grace", "none", []change{{"setup/bakery.yaml", "      terminationGracePeriodSeconds: 1\n", ""}}, []string{"setup/bakery.yaml:9:7 pods that ignore SIGTERM take 30 s to go"}},
		{"grace", "long", []change{{"setup/bakery.yaml", "Seconds: 1", "Seconds: 60"}}, []string{"setup/bakery.yaml:9:38 pods that may take 60 s to go"}},
		{"story-task", "untold", []change{{"README.md", "**shape**", "**form**"}}, []string{"lab.yaml:17:11 README.md does not name the task shape"}},
		{"old-words", "in a hint", []change{{"hints/bread.md", "b\n", "`kubectl -n bakery get endpoints`\n"}}, []string{"hints/bread.md:3:2 \"kubectl -n bakery get endpoints\" is of old"}},
		{"debrief", "one section", []change{{"debrief.md", "Under the hood", "Under the bonnet"}}, []string{"debrief.md no section about: under the hood"}},
		{"unused-file", "a mistake", []change{{"mistakes/z.yaml", "", service("z")}}, []string{"mistakes/z.yaml nothing in lab.yaml uses this file"}},
		{"unused-file", "a hint", []change{{"hints/cake.md", "", "a"}}, []string{"hints/cake.md nothing in lab.yaml uses this file"}},
		{"tasks", "one", []change{
			{"lab.yaml", goodLab[strings.Index(goodLab, "  - name: shape"):strings.Index(goodLab, "  solutions:")], ""},
			{"lab.yaml", "fails: [shape]", "fails: [bread]"},
			{"lab.yaml", "params: {port: {range: [31000, 31999]}}", "needs: []"},
			{"hints/shape.md", "", "an unused one"},
		}, []string{"lab.yaml:13:3 the lab has 1 task(s)"}},
		{loaderRule, "a wrong key and a missing file", []change{{"lab.yaml", "minutes: 15", "minuets: 15"}, {"lab.yaml", "solutions/one.yaml", "solutions/1.yaml"}}, []string{
			`lab.yaml:5:3 missing key "minutes"`, `lab.yaml:8:3 unknown key "minuets", expected one of`, "lab.yaml:23:25 no such file or folder: solutions/1.yaml",
		}},
	}
}
