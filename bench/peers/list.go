package peers

import (
	"path/filepath"
	"strconv"
)

// A Peer says how one gateway is found, configured and started.
type Peer struct {
	// Name is what tables and flags call it.
	Name string
	// Binary is looked up on PATH; an absolute path is taken as it is.
	Binary string
	// VersionArgs make Binary print its version.
	VersionArgs []string
	// Version takes it from what was printed; nil is the first dotted number.
	Version func(text string) string
	// Files are written into the gateway's folder: name there to template in configs/.
	Files map[string]string
	// Args are the arguments of one start.
	Args func(Setting) []string
	// Env is added to the environment, as NAME=value.
	Env func(Setting) []string
	// LogOnStdout says that access lines come on standard output.
	LogOnStdout bool
}

// A Setting is what one start of a gateway is told; templates see its fields.
type Setting struct {
	// Dir is the gateway's own folder.
	Dir string
	// Port is where it listens, OriginPort where the origin does, both on 127.0.0.1.
	Port, OriginPort int
	// AdminPort is h2gw's; 0 is one of the kernel's choice. PlainPort, if not 0,
	// is where it takes cleartext HTTP/2, too.
	AdminPort, PlainPort int
	// Profiles has h2gw serve profiles on its admin address.
	Profiles bool
	// Workers is how many threads or processes work on requests.
	Workers int
	// Log is the access log's file; empty is no access log.
	Log string
	// Root says that everything runs as root: some gateways then give it up, and must be told to whom.
	Root bool
	// Extra holds further --set values; h2gw alone takes them.
	Extra []string
	Certificate
}

func (s Setting) file(name string) string { return filepath.Join(s.Dir, name) }

// address is where the gateway listens.
func (s Setting) address() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// Admin is h2gw's admin address.
func (s Setting) Admin() string { return "127.0.0.1:" + strconv.Itoa(s.AdminPort) }

// Plain is h2gw's cleartext address.
func (s Setting) Plain() string { return "127.0.0.1:" + strconv.Itoa(s.PlainPort) }

// List returns the peers, in the order they are reported. h2gw is not among
// them: see H2GW.
func List() []Peer {
	return []Peer{
		{
			Name: "haproxy", Binary: "haproxy", VersionArgs: []string{"-v"}, LogOnStdout: true,
			Files: map[string]string{"haproxy.cfg": "haproxy.cfg.tmpl"},
			Args:  func(s Setting) []string { return []string{"-db", "-f", s.file("haproxy.cfg")} },
		},
		{
			Name: "nghttpx", Binary: "nghttpx", VersionArgs: []string{"--version"},
			Files: map[string]string{"nghttpx.conf": "nghttpx.conf.tmpl"},
			Args:  func(s Setting) []string { return []string{"--conf=" + s.file("nghttpx.conf")} },
		},
		{
			Name: "h2o", Binary: "h2o", VersionArgs: []string{"--version"},
			Files: map[string]string{"h2o.conf": "h2o.conf.tmpl"},
			Args:  func(s Setting) []string { return []string{"-m", "worker", "-c", s.file("h2o.conf")} },
		},
		{
			Name: "nginx", Binary: "nginx", VersionArgs: []string{"-v"},
			Files: map[string]string{"nginx.conf": "nginx.conf.tmpl"},
			Args:  nginxArgs,
		},
		{
			Name: "ats", Binary: "traffic_server", VersionArgs: []string{"--version"},
			Files: map[string]string{
				"records.config":       "records.config.tmpl",
				"remap.config":         "remap.config.tmpl",
				"ssl_multicert.config": "ssl_multicert.config.tmpl",
				"ip_allow.yaml":        "ip_allow.yaml.tmpl",
				"logging.yaml":         "logging.yaml.tmpl",
				"storage.config":       "empty.tmpl",
				"cache.config":         "empty.tmpl",
				"parent.config":        "empty.tmpl",
				"hosting.config":       "empty.tmpl",
				"volume.config":        "empty.tmpl",
				"plugin.config":        "empty.tmpl",
				"splitdns.config":      "empty.tmpl",
				"body_factory/.keep":   "empty.tmpl",
			},
			Args: func(Setting) []string { return nil },
			Env:  func(s Setting) []string { return []string{"PROXY_CONFIG_CONFIG_DIR=" + s.Dir} },
		},
		{
			Name: "caddy", Binary: "caddy", VersionArgs: []string{"version"},
			Files: map[string]string{"caddy.json": "caddy.json.tmpl"},
			Args:  func(s Setting) []string { return []string{"run", "--config", s.file("caddy.json")} },
			Env: func(s Setting) []string {
				return []string{"GOMAXPROCS=" + strconv.Itoa(s.Workers), "XDG_DATA_HOME=" + s.Dir, "XDG_CONFIG_HOME=" + s.Dir}
			},
		},
	}
}

// H2GW is the peer made from a binary of h2gw. It is told nothing but
// addresses, certificate and log: its defaults are what is measured.
func H2GW(name, binary string) Peer {
	return Peer{
		Name: name, Binary: binary, VersionArgs: []string{"version", "--json"}, Version: ownVersion,
		Args: h2gwArgs,
		Env:  func(s Setting) []string { return []string{"GOMAXPROCS=" + strconv.Itoa(s.Workers)} },
	}
}

func h2gwArgs(s Setting) []string {
	log := s.Log
	if log == "" {
		log = "off"
	}
	args := []string{"proxy", "--from", s.address(), "--cert", s.Cert, "--key", s.Key, "--log-level", "error",
		// The counters behind it are on by default, so they are on here.
		"--admin", "127.0.0.1:" + strconv.Itoa(s.AdminPort),
		"--to", "http://127.0.0.1:" + strconv.Itoa(s.OriginPort), "--access-log", log}
	if s.PlainPort != 0 {
		args = append(args, "--plain", "127.0.0.1:"+strconv.Itoa(s.PlainPort))
	}
	if s.Profiles {
		args = append(args, "--admin-pprof")
	}
	for _, v := range s.Extra {
		args = append(args, "--set", v)
	}
	return args
}

func nginxArgs(s Setting) []string {
	return []string{"-p", s.Dir, "-e", s.file("error.log"), "-c", s.file("nginx.conf")}
}
