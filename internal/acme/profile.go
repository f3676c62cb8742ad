package acme

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckProfile refuses a profile that a server does not advertise, because the
// server would refuse an order for it (draft-ietf-acme-profiles §4). To ask for
// none is right everywhere.
func CheckProfile(profile string, offered map[string]string) error {
	if _, ok := offered[profile]; ok || profile == "" {
		return nil
	}
	if len(offered) == 0 {
		return fmt.Errorf("the CA offers no profiles, and so not %q either", profile)
	}
	return fmt.Errorf("the CA offers no profile %q; it offers %s", profile, strings.Join(slices.Sorted(maps.Keys(offered)), ", "))
}
