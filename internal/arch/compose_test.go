package arch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// composeProject loads docker-compose.yml with the parser Docker Compose uses.
func composeProject(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	opts, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithProfiles(profiles), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := opts.LoadProject(context.Background())
	if err != nil {
		t.Fatalf("docker-compose.yml does not load: %v", err)
	}
	return p
}

func TestComposeStartsTheGatewayTwoOriginsAndPrometheus(t *testing.T) {
	names := composeProject(t).ServiceNames()
	slices.Sort(names)
	if want := []string{"h2gw", "origin-a", "origin-b", "prometheus"}; !slices.Equal(names, want) {
		t.Errorf("services without a profile are %v, want %v", names, want)
	}
	if names := composeProject(t, "load").ServiceNames(); !slices.Contains(names, "h2load") {
		t.Errorf("profile load starts %v, want h2load among them", names)
	}
}

func TestComposeSendsTheGatewayToTheOriginsItStarts(t *testing.T) {
	p := composeProject(t)
	var to []string
	for _, arg := range p.Services["h2gw"].Command {
		if url, ok := strings.CutPrefix(arg, "--to=http://"); ok {
			host, port, _ := strings.Cut(url, ":")
			to = append(to, host)
			conf, err := os.ReadFile(filepath.Join(root, "testdata/origin/nginx.conf"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(conf), "listen "+port+" ") {
				t.Errorf("%s: the origins' nginx.conf does not listen on %s", arg, port)
			}
		}
	}
	if want := []string{"origin-a", "origin-b"}; !slices.Equal(to, want) {
		t.Errorf("the gateway forwards to %v, want %v", to, want)
	}
}

func TestComposeMountsOnlyWhatIsInTheTree(t *testing.T) {
	p := composeProject(t, "load")
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("service %s mounts %s: %v", name, v.Source, err)
			}
		}
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, "Dockerfile")); err != nil {
				t.Errorf("service %s: %v", name, err)
			}
		}
	}
}

// dockerfile parses a Dockerfile with the parser of docker build.
func dockerfile(t *testing.T, name string) []instructions.Stage {
	t.Helper()
	f, err := os.Open(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	res, err := parser.Parse(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	stages, _, err := instructions.Parse(res.AST, nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return stages
}

func TestTheImageIsEmptyButForAStaticBinaryAndNotRoot(t *testing.T) {
	stages := dockerfile(t, "Dockerfile")
	static, user, entry := false, "", ""
	for _, c := range stages[0].Commands {
		if run, ok := c.(*instructions.RunCommand); ok {
			static = static || strings.Contains(strings.Join(run.CmdLine, " "), "CGO_ENABLED=0 go build")
		}
	}
	last := stages[len(stages)-1]
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			entry = strings.Join(c.CmdLine, " ")
		}
	}
	if !static {
		t.Error("the binary is not built with CGO_ENABLED=0: it would not run on an empty image")
	}
	if last.BaseName != "scratch" || entry != "/h2gw" {
		t.Errorf("the image is %s with entry point %q, want scratch with /h2gw", last.BaseName, entry)
	}
	if uid, _, _ := strings.Cut(user, ":"); uid == "" || uid == "0" || uid == "root" {
		t.Errorf("the image runs as user %q, want a number that is not root's", user)
	}
	dockerfile(t, "contrib/h2load/Dockerfile")
}
