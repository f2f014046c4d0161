package pesto

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
	"github.com/pasta-net/pasta/portfwd/control"
	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// ports are tables that any rule may get into which portfwd.Check lets pass.
type ports struct {
	o portfwd.Options

	mu         sync.Mutex
	rules      portfwd.Rules
	generation uint64
}

func (p *ports) Options() portfwd.Options { return p.o }

func (p *ports) Rules() (portfwd.Rules, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules, p.generation
}

func (p *ports) Replace(generation uint64, rules portfwd.Rules) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := portfwd.Check(rules, p.o); err != nil {
		return nil, err
	}
	if generation != p.generation {
		return nil, portfwd.ErrChanged
	}
	p.rules = rules
	p.generation++
	return nil, nil
}

// server is a run to talk to.
type server struct {
	t     *testing.T
	ports *ports
	path  string
}

func start(t *testing.T, o portfwd.Options) *server {
	t.Helper()
	s := &server{t: t, ports: &ports{o: o}, path: filepath.Join(t.TempDir(), "conf")}
	f, err := ctlsock.Listen(s.path)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := control.NewServer(f, s.ports, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		srv.Serve(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s
}

// full serves everything.
func full() portfwd.Options {
	return portfwd.Options{
		V4: true, V6: true, TCP: true, UDP: true, Namespace: func(f func() error) error { return f() },
	}
}

// pesto runs the program with blank-separated options.
func (s *server) pesto(args string) (exit int, stdout, stderr string) {
	var out, errs strings.Builder
	exit = Run(append(strings.Fields(args), s.path), "pesto 1.2\n", &out, &errs)
	return exit, strings.ReplaceAll(out.String(), s.path, "PATH"), strings.ReplaceAll(errs.String(), s.path, "PATH")
}

// table gives the rules of a pif as texts.
func (s *server) table(pif fwd.Pif) (list []string) {
	rules, _ := s.ports.Rules()
	for _, r := range rules[pif] {
		list = append(list, text(r))
	}
	return list
}

func TestPrograms(t *testing.T) {
	const (
		h2000, h2001 = "TCP [*]:2000  =>  2000", "TCP [*]:2001  =>  2001"
		h9000, u5000 = "TCP [*]:9000  =>  9000", "UDP [*]:5000  =>  5000"
		s3000, su    = "TCP [*]%lo:3000  =>  3000", "UDP [*]%lo:9001  =>  9001"
	)
	tests := []struct {
		name         string
		before, args string
		host, splice []string
	}{
		{"replaces the whole table", "-A -t 2000 -u 5000 -T 3000", "-t 9000", []string{h9000}, []string{s3000}},
		{"replaces both tables", "-A -t 2000 -T 3000", "-t 9000 -U 9001", []string{h9000}, []string{su}},
		{"second forward of a table adds", "-A -t 2000", "-t 9000 -u 5000", []string{h9000, u5000}, nil},
		{"none empties", "-A -t 2000 -u 5000", "-t none", nil, nil},
		{"adding none changes nothing", "-A -t 2000", "-A -t none", []string{h2000}, nil},
		{"adds", "-A -t 2000", "-A -t 2001 -T 3000", []string{h2000, h2001}, []string{s3000}},
		{"deletes", "-A -t 2000 -t 2001", "-D -t 2000", []string{h2001}, nil},
		{"clears", "-A -t 2000 -T 3000", "-C HOST", nil, []string{s3000}},
		{"clear, then add", "-A -t 2000", "-C HOST -t 9000", []string{h9000}, nil},
		{
			"example of the contract", "-A -u 5000", "-A -t 2000 -C HOST -A -T 3000 -t 2001 -u 5000 -D -u 5000",
			[]string{h2001},
			[]string{s3000},
		},
		{"delete behind clear adds again", "-A -t 2000", "-D -t 2000 -C SPLICE -t 2001", []string{h2001}, nil},
		{"deletes auto", "-A -t auto", "-D -t auto", nil, nil},
		{"deletes a range", "-A -t 8000-8010:9000-9010", "-D -t 8000-8010:9000-9010", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, full())
			for _, args := range []string{tt.before, tt.args} {
				if exit, out, errs := s.pesto(args); exit != 0 || out != "" || errs != "" {
					t.Fatalf("pesto %s: exit %d, output %q, errors %q, want silence", args, exit, out, errs)
				}
			}
			if diff := cmp.Diff(tt.host, s.table(fwd.Host)); diff != "" {
				t.Errorf("HOST (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.splice, s.table(fwd.Splice)); diff != "" {
				t.Errorf("SPLICE (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorsChangeNothing(t *testing.T) {
	vm := full()
	vm.Namespace, vm.V6 = nil, false
	noUDP := full()
	noUDP.UDP = false
	const usage = "Usage: pesto [OPTION]... PATH"
	tests := []struct {
		name, args string
		o          portfwd.Options
		want       string // the error begins with
	}{
		{
			"conflict", "-A -t 9000 -t 8005", full(), "Forwarding configuration conflict: TCP [*]:8005  =>  8005 versus " +
				"TCP [*]:8000-8010  =>  8000-8010\nUnable to add rule TCP [*]:8005  =>  8005\n",
		},
		{
			"deletes a part", "-A -t 9000 -D -t 8005", full(), "Specifier TCP [*]:8005  =>  8005 conflicts with rule " +
				"TCP [*]:8000-8010  =>  8000-8010, but doesn't match it, can't delete\nUnable to delete rule TCP [*]:8005  =>  8005\n",
		},
		{
			"deletes what is not there", "-D -t 1234", full(), "Couldn't find forwarding rule to delete: " +
				"TCP [*]:1234  =>  1234\nUnable to delete rule TCP [*]:1234  =>  1234\n",
		},
		{"other target", "-D -t 8000-8010:9000-9010", full(), "Specifier TCP [*]:8000-8010  =>  9000-9010 conflicts"},
		{"unknown table", "-C TAP", full(), "Unsupported pif name TAP\n"},
		{"no such table", "-T 80", vm, "Unsupported pif name SPLICE\n"},
		{"no scan", "-A -t auto", vm, "'auto' port forwarding is only allowed for pasta\n"},
		{"no IPv6", "-A -t ::1/80", vm, "IPv6 forward, but IPv6 not enabled\n"},
		{"no UDP", "-A -u 53", noUDP, "Can't add UDP forwarding rule, UDP not enabled\n"},
		{"address for the namespace", "-A -T 127.0.0.1/80", full(), "Listening address not allowed for -T 127.0.0.1/80\n"},
		{"specification", "-A -t x", full(), "Invalid port specifier 'x'\n"},
		{"nothing left", "-A -t 9000 -t 80,~80", full(), "Port specifier '80,~80' forwards nothing: its exclusions leave no port\nLeave one of them out, or write 'none' for no forwards\n"},
		{"nothing left to replace a table", "-t ~1-65535", full(), "Port specifier '~1-65535' forwards nothing"},
		{"nothing left to delete", "-D -t 80,~80", full(), "Port specifier '80,~80' forwards nothing"},
		{"unknown option", "--foo", full(), "pesto: unrecognized option '--foo'\n" + usage},
		{"two paths", "a", full(), "pesto: exactly one PATH is needed\n" + usage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.o)
			if exit, _, errs := s.pesto("-A -t 0.0.0.0/1 -t 8000-8010"); tt.o.V6 && exit != 0 {
				t.Fatal(errs)
			}
			before, _ := s.ports.Rules()
			exit, out, errs := s.pesto(tt.args)
			if exit != 1 || out != "" || !strings.HasPrefix(errs, tt.want) {
				t.Errorf("exit %d, output %q, errors %q, want 1 and %q", exit, out, errs, tt.want)
			}
			after, _ := s.ports.Rules()
			if diff := cmp.Diff(textsOf(before), textsOf(after)); diff != "" {
				t.Errorf("tables changed (-before +after):\n%s", diff)
			}
		})
	}
}

func textsOf(rules portfwd.Rules) (list []string) {
	for pif := range rules {
		for _, r := range rules[pif] {
			list = append(list, fwd.Pif(pif).String()+" "+text(r))
		}
	}
	return list
}

func TestOutput(t *testing.T) {
	s := start(t, full())
	tests := []struct{ name, args, want string }{
		{"empty tables", "", "passt/pasta configuration (PATH)\n  HOST\n  SPLICE\n"},
		{
			"before and after", "-s -t 8080 -u 127.0.0.1%lo/9100 -U 9001",
			"Previous configuration (PATH)\n  HOST\n  SPLICE\n" +
				"Updated configuration (PATH)\n  HOST\n    TCP [*]:8080  =>  8080 \n    UDP [127.0.0.1]%lo:9100  =>  9100 \n" +
				"  SPLICE\n    UDP [*]%lo:9001  =>  9001 \n",
		},
		{"silent change", "-A -t 8081", ""},
		{
			"nothing asked for", "-s", "passt/pasta configuration (PATH)\n  HOST\n    TCP [*]:8080  =>  8080 \n" +
				"    UDP [127.0.0.1]%lo:9100  =>  9100 \n    TCP [*]:8081  =>  8081 \n  SPLICE\n    UDP [*]%lo:9001  =>  9001 \n",
		},
		{"version", "-A --version --foo", "pesto 1.2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if exit, out, errs := s.pesto(tt.args); exit != 0 || out != tt.want || errs != "" {
				t.Errorf("exit %d, errors %q, output:\n%s\nwant:\n%s", exit, errs, out, tt.want)
			}
		})
	}
	if _, out, _ := s.pesto("-h"); !strings.HasPrefix(out, "Usage: pesto [OPTION]... PATH\n") {
		t.Errorf("help: %q", out)
	}
}

func TestJSON(t *testing.T) {
	s := start(t, full())
	s.pesto("-t 127.0.0.1/8080:80 -T 9000")
	exit, out, _ := s.pesto("--json")
	var got control.Config
	if err := json.Unmarshal([]byte(out), &got); err != nil || exit != 0 {
		t.Fatalf("exit %d, %v in %s", exit, err, out)
	}
	want := control.Config{Generation: 1, Tables: []control.Table{
		{Pif: "HOST", Rules: []control.Rule{{Proto: "TCP", Listen: "127.0.0.1", First: 8080, Last: 8080, TargetFirst: 80}}},
		{Pif: "SPLICE", Rules: []control.Rule{{Proto: "TCP", Interface: "lo", First: 9000, Last: 9000, TargetFirst: 9000}}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("--json (-want +got):\n%s", diff)
	}
	var change map[string]control.Config
	_, out, _ = s.pesto("--json -s -C HOST")
	if err := json.Unmarshal([]byte(out), &change); err != nil {
		t.Fatal(err)
	}
	if n := len(change["previous"].Tables[0].Rules); n != 1 || len(change["updated"].Tables[0].Rules) != 0 {
		t.Errorf("change: %+v, want one rule before and none after", change)
	}
}

func TestNobodyThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	var out, errs strings.Builder
	exit := Run([]string{path}, "", &out, &errs)
	if want := "Failed to connect to " + path + ": No such file or directory\n"; exit != 1 || errs.String() != want {
		t.Errorf("exit %d, errors %q, want 1 and %q", exit, errs.String(), want)
	}
}

func TestDebugTellsOfTheChange(t *testing.T) {
	s := start(t, full())
	exit, stdout, stderr := s.pesto("--debug -A -t 2000")
	told := regexp.MustCompile(`(?m)^Server: .*\nGeneration: 1, changed in \d+ µs\n$`)
	if exit != 0 || stdout != "" || !told.MatchString(stderr) {
		t.Errorf("exit %d, stdout %q, stderr %q, want what matches %v", exit, stdout, stderr, told)
	}
}
