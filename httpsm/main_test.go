package httpsm

import (
	"os"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }
