package headers_test

import (
	"fmt"
	"log"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/headers"
)

// The origin learns which client connection and stream a request came on, and
// clients do not learn what the origin runs.
func Example() {
	plugin, err := headers.New(headers.Config{
		Request: headers.Changes{
			Set: []httpsm.Field{{Name: "X-Session", Value: "${pitag}#${piid}/${stream}"}},
		},
		Response: headers.Changes{
			Remove: []string{"Server", "X-Powered-By"},
			Set:    []httpsm.Field{{Name: "Strict-Transport-Security", Value: "max-age=63072000"}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	hooks := new(httpsm.Hooks)
	if err := plugin.Register(hooks); err != nil {
		log.Fatal(err)
	}
	machine := httpsm.New(httpsm.Config{Hooks: hooks})
	fmt.Println(machine.Stats().Active)
	// Output: 0
}

// A slip is found when the plugin is made, not when a request comes.
func ExampleNew_unknownVariable() {
	_, err := headers.New(headers.Config{
		Request: headers.Changes{Set: []httpsm.Field{{Name: "X-Client", Value: "${client_op}"}}},
	})
	fmt.Println(err)
	// Output: headers: request, set "X-Client": unknown variable ${client_op}: did you mean ${client_ip}?
}
