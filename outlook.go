package pkiexternalca

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// outlookFields are what answers show of a certificate's renewal.
var outlookFields = field.Set[charge]{
	field.Shown("renew_at", "When the certificate is to be renewed (RFC3339)", framework.TypeString, func(c *charge) any { return field.FormatTime(c.renewAt()) }),
	field.Shown("ari_window", "The window in which the CA would have the certificate renewed (RFC 9773)", framework.TypeMap, (*charge).window),
}

// renewAt is when the charge is to be renewed; zero when nobody takes care of it.
func (c *charge) renewAt() time.Time {
	if c.standing.Care == nil {
		return time.Time{}
	}
	return c.standing.Care.At(c.role.renewal())
}

// window is empty where the CA has suggested none.
func (c *charge) window() any {
	out := map[string]any{}
	if c.standing.Care == nil || !c.standing.Care.Advice.Window.Valid() {
		return out
	}
	advice := c.standing.Care.Advice
	out["start"], out["end"] = field.FormatTime(advice.Window.Start), field.FormatTime(advice.Window.End)
	out["explanation_url"] = advice.Explanation
	return out
}

// withOutlookFields describes an answer that shows what becomes of a certificate.
func withOutlookFields(answer map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	maps.Copy(answer, outlookFields.Shown())
	return answer
}

// chargeOfOrder is an order's certificate with what is known about its renewal:
// nothing, when another has taken its place.
func chargeOfOrder(ctx context.Context, s logical.Storage, o *order.Order) (*charge, error) {
	c := &charge{standing: &standing{}, order: o, role: &role{}}
	path, err := currentPath(o)
	if err != nil {
		return c, nil // a CSR that nobody can read any more
	}
	at, err := readStanding(ctx, s, path)
	if err != nil || at.Order != o.ID {
		return c, absent(err)
	}
	c.path, c.standing = path, at
	r, err := roles.Get(ctx, s, o.Role)
	if err != nil {
		return c, absent(err)
	}
	c.role = r
	return c, nil
}

// withOutlook adds to an answer about a certificate what becomes of it.
func (b *backend) withOutlook(resp *logical.Response, c *charge) *logical.Response {
	maps.Copy(resp.Data, outlookFields.Show(c))
	if warning := b.overdue(c); warning != "" {
		resp.AddWarning(warning)
	}
	return resp
}

// overdue says why a certificate that Vault renews has not been renewed in time,
// "" when it is not late.
func (b *backend) overdue(c *charge) string {
	policy := c.role.renewal()
	if c.standing.Care == nil || !c.role.AutoRenew || !c.standing.Care.Overdue(policy, b.now()) {
		return ""
	}
	plan := &c.standing.Care.Plan
	text := fmt.Sprintf("the renewal of this certificate is overdue since %s", field.FormatTime(plan.At(policy)))
	if plan.LastError != "" {
		text += fmt.Sprintf("; it has failed %s, the last time because of: %s", times(plan.Failures), plan.LastError)
	}
	if c.standing.Live != "" {
		text += fmt.Sprintf("; see order %s", c.standing.Live)
	}
	return text
}

// lateness adds to what is wrong with a certificate why Vault has not renewed it.
func (b *backend) lateness(c *charge, err error) error {
	if late := b.overdue(c); late != "" {
		return notFound("%w; %s", err, late)
	}
	return err
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
