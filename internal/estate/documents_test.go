package estate_test

import (
	"testing"

	"diagnose/internal/estate"
)

// A function and its service are one target where their names are known whole;
// two things of which a part of the name is not known are two.
func TestJoinFunctions(t *testing.T) {
	const whole, part = "//run.googleapis.com/projects/shop/locations/us-east1/services/web", "//run.googleapis.com/projects/-/locations/us-east1/services/web"
	const function = "//cloudfunctions.googleapis.com/projects/shop/locations/us-east1/functions/web"
	at := func(address string) estate.Where { return estate.Where{Address: address} }
	for _, tt := range []struct {
		name string
		in   []estate.Target
		want int
	}{
		{"a function before its service", []estate.Target{{Name: whole, Function: function}, {Name: whole}}, 1},
		{"a service before its function", []estate.Target{{Name: whole}, {Name: whole, Function: function}}, 1},
		{"a part is not known", []estate.Target{{Name: part}, {Name: part, Function: function}}, 1},
		{"a part is not known, at two addresses", []estate.Target{{Name: part, Where: at("a.b")}, {Name: part, Where: at("a.c")}}, 2},
		{"a part is not known, in two root modules", []estate.Target{{Name: part, Where: at("a.b")}, {Name: part, Where: at("a.b"), Root: "prod"}}, 2},
	} {
		e := estate.Estate{Targets: tt.in}
		e.JoinFunctions()
		if len(e.Targets) != tt.want {
			t.Errorf("%s: %d targets, want %d", tt.name, len(e.Targets), tt.want)
		}
	}
}
