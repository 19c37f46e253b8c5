package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// proofs names, for every timeout and limit, the tests that show when it fires,
// with which cause or status, and that it leaves alone who is slow or large
// within it. A test is file:function, the file's folder from the repository's root.
var proofs = map[string]string{
	"timeouts.handshake":          "internal/frontend/limits_test.go:TestASilentClientIsClosedAtTheTimeout internal/frontend/limits_test.go:TestASlowClientIsServedWithinTheTimeouts",
	"timeouts.preface":            "h2session/timeouts_test.go:TestPrefaceTimeout h2session/timeouts_test.go:TestASlowPrefaceIsTaken httpsm/http1_test.go:TestHTTP1ConnectionsEndForAReason internal/frontend/limits_test.go:TestASlowClientIsServedWithinTheTimeouts",
	"timeouts.request_head":       "h2session/timeouts_test.go:TestHeadTimeout httpsm/http1_test.go:TestHTTP1ConnectionsEndForAReason httpsm/patience_test.go:TestNearlyTooSlowIsNotTooSlow",
	"timeouts.request_body_idle":  "httpsm/outcome_test.go:TestClientFailures internal/failure/stall_test.go:TestARequestBodyThatStopsIsA408 httpsm/patience_test.go:TestNearlyTooSlowIsNotTooSlow",
	"timeouts.write_stall":        "h2session/timeouts_test.go:TestStreamStall h2session/timeouts_test.go:TestSessionWindowStall h2session/timeouts_test.go:TestSocketStall h2session/timeouts_test.go:TestSlowReaderIsServed httpsm/flow_test.go:TestSlowButHonest",
	"timeouts.session_idle":       "h2session/timeouts_test.go:TestIdleTimeout httpsm/http1_test.go:TestHTTP1ConnectionsEndForAReason httpsm/patience_test.go:TestNearlyTooSlowIsNotTooSlow",
	"timeouts.session_age":        "h2session/timeouts_test.go:TestAge httpsm/http1_test.go:TestHTTP1ConnectionsEndForAReason",
	"timeouts.connect":            "httpsm/outcome_test.go:TestConnectFailures httpsm/origin/dial_test.go:TestConnectingTakesTooLong httpsm/patience_test.go:TestNearlyTooSlowIsNotTooSlow",
	"timeouts.response_head":      "httpsm/outcome_test.go:TestOriginFailures httpsm/patience_test.go:TestNearlyTooSlowIsNotTooSlow",
	"timeouts.response_body_idle": "httpsm/outcome_test.go:TestOriginFailures internal/failure/slow_test.go:TestASlowDripPassesUnchanged httpsm/patience_test.go:TestNearlyTooSlowIsNotTooSlow",
	"timeouts.tunnel_idle":        "httpsm/tunnel_test.go:TestTheIdleLimitOfATunnel",
	"timeouts.origin_idle":        "httpsm/origin/pool_test.go:TestIdleConnectionsAreClosedInTime httpsm/origin/pool_test.go:TestIdleTimeoutCountsFromRelease",
	"timeouts.drain":              "internal/gateway/drain_test.go:TestWhatDoesNotFinishInTimeIsAborted internal/gateway/drain_test.go:TestDrainTellsTwiceAndFinishesStreams",
	"limits.request_head":         "h2session/limits_test.go:TestTooLargeHeads internal/gateway/errors_test.go:TestTheGatewaysOwnAnswersAreTheSameOnEveryProtocol",
	"limits.response_head":        "httpsm/outcome_test.go:TestOriginFailures internal/gateway/errors_test.go:TestTheGatewaysOwnAnswersAreTheSameOnEveryProtocol",
	"limits.fields":               "h2session/limits_test.go:TestTooLargeHeads internal/gateway/errors_test.go:TestTheGatewaysOwnAnswersAreTheSameOnEveryProtocol",
	"limits.target":               "h2session/limits_test.go:TestTooLargeHeads internal/gateway/errors_test.go:TestTheGatewaysOwnAnswersAreTheSameOnEveryProtocol",
	"limits.request_body":         "internal/gateway/errors_test.go:TestTheGatewaysOwnAnswersAreTheSameOnEveryProtocol",
	"limits.request_body_rate":    "httpsm/pace_test.go:TestABodySlowerThanTheRateIsRefused httpsm/pace_test.go:TestASlowButHonestBodyIsTaken httpsm/pace_test.go:TestAClientHeldBackByTheOriginIsNotBlamed",
	"limits.streams":              "h2session/limits_test.go:TestTooManyStreams",
	"limits.sessions":             "internal/frontend/limits_test.go:TestLimitOfAllConnections",
	"limits.sessions_per_client":  "internal/frontend/limits_test.go:TestLimitOfOneClientsConnections",
	"limits.origin_connections":   "httpsm/origin/pool_test.go:TestWaitersAreServedInOrder httpsm/origin/pool_test.go:TestWaitingEndsWithTheConnectTimeout",
}

// Every timeout and limit has tests, and they are there.
func TestEveryTimeoutAndLimitHasItsTests(t *testing.T) {
	for _, row := range Table() {
		if !strings.HasPrefix(row.Name, "timeouts.") && !strings.HasPrefix(row.Name, "limits.") || strings.HasSuffix(row.Name, "memory") {
			continue // floods.* and the memory budgets have tables of their own
		}
		if proofs[row.Name] == "" {
			t.Errorf("%s: no test shows when it fires and when it does not; name them in proofs", row.Name)
		}
		for _, proof := range strings.Fields(proofs[row.Name]) {
			file, name, _ := strings.Cut(proof, ":")
			text, err := os.ReadFile(filepath.Join("../..", file))
			if err != nil || !regexp.MustCompile(`(?m)^func `+name+`\(`).Match(text) {
				t.Errorf("%s: there is no %s", row.Name, proof)
			}
		}
	}
}
