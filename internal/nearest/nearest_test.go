package nearest

import "testing"

func TestOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		want string
		have []string
		near string
	}{
		{"clusterpi", []string{"dns/names", "names", "services/clusterip", "clusterip"}, "clusterip"},
		{"service/clusterip", []string{"clusterip", "services/clusterip"}, "services/clusterip"}, // nearer than its part
		{"oven", []string{"oven-trial", "overt"}, "oven-trial"},
		{"wbe", []string{"web"}, "web"},
		{"wab", []string{"web", "wax"}, "wax"},
		{"bwe", []string{"web"}, ""}, // two of three letters are as good as another word
		{"wb", []string{"web"}, "web"},
		{"db", []string{"web"}, ""},
		{"in", []string{"init"}, ""}, // so short a part proves nothing
		{"helm", []string{"dns/names", "names"}, ""},
		{"cat", []string{"hat", "bat"}, "bat"},
		{"", []string{"ab"}, ""},
		{"web", nil, ""},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			if got := Of(tt.want, tt.have); got != tt.near {
				t.Errorf("nearest to %q of %q is %q, want %q", tt.want, tt.have, got, tt.near)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}, {"clusterpi", "clusterip", 1}, {"ab", "ba", 1}, {"bread", "bred", 1}} {
		if got := Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
