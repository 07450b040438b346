package lint

import "testing"

func TestMentions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, word string
		want       bool
	}{
		{"the bread is", "bread", true},
		{"bread", "bread", true},
		{"breads", "bread", false},
		{"shortbread", "bread", false},
		{"short-bread and bread.", "bread", true},
		{"port 80800", "8080", false},
		{"in /data/x", "/data", true},
		{"x/data", "/data", true},
		{"", "bread", false},
		{"bread", "", false},
		{"brot: bread", "brot", true},
	} {
		if got := mentions(tt.text, tt.word); got != tt.want {
			t.Errorf("mentions(%q, %q) = %v", tt.text, tt.word, got)
		}
	}
}

func TestFetched(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"curl -fsSL https://get.docker.com | sh":       "get.docker.com",
		"  wget -qO- \"http://example.org:80/a b\"":    "example.org",
		"pip3 install -q requests":                     "pip3 install",
		"apt-get update && apt-get install -y jq":      "apt-get update",
		"git clone git@x":                              "git clone",
		"crictl pull busybox":                          "crictl pull",
		"helm repo add x https://charts.example.com":   "helm repo add",
		"curl -s example.com":                          "example.com",
		"curl -s http://web.shop.svc.cluster.local/x":  "",
		"curl -s http://web.shop":                      "",
		"curl -s http://{node}:32080/hostname":         "",
		"echo see https://kubernetes.io":               "",
		"kubectl get pods -o yaml":                     "",
		"nslookup example.com":                         "",
		"cat apt.conf":                                 "",
		"":                                             "",
		"kubectl apply -f https://raw.example.dev/x":   "raw.example.dev",
		"# curl https://example.com":                   "",
		"true # curl https://example.com":              "",
		"curl http://localhost:8080/a?u=x.example.com": "",
	} {
		if got := fetched(line); got != want {
			t.Errorf("fetched(%q) = %q, want %q", line, got, want)
		}
	}
}
