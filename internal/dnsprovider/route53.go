package dnsprovider

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// route53Settings is public hosted zones of Amazon Route 53. Without a key the
// role of the virtual machine is used; environment variables and files of the
// process never are.
type route53Settings struct {
	AccessKeyID     string      `json:"access_key_id,omitempty"`
	SecretAccessKey secret.Text `json:"secret_access_key,omitempty"`
	Region          string      `json:"region,omitempty"`
	HostedZoneID    string      `json:"hosted_zone_id,omitempty"`
	AssumeRoleARN   string      `json:"assume_role_arn,omitempty"`
	ExternalID      string      `json:"external_id,omitempty"`
}

var awsRoute53 = definition[route53Settings]{
	name:     "aws-route53",
	synopsis: "Configure AWS Route53 DNS provider for DNS-01 ACME challenges",
	ttl:      "60s",
	fields: field.Set[route53Settings]{
		field.Text("access_key_id", "AWS access key ID for Route53 API access",
			form(regexp.MustCompile(`^[A-Za-z0-9_]{16,128}$`), "an access key id, such as AKIAIOSFODNN7EXAMPLE"),
			func(s *route53Settings) *string { return &s.AccessKeyID }),
		field.Text("secret_access_key", "AWS secret access key for Route53 API access", parseCredential,
			func(s *route53Settings) *secret.Text { return &s.SecretAccessKey }).Hidden(),
		field.Text("region", "AWS region for Route53 operations",
			form(regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`), "a region, such as us-east-1"),
			func(s *route53Settings) *string { return &s.Region }),
		field.Text("hosted_zone_id", "AWS Route53 hosted zone ID",
			form(regexp.MustCompile(`^(/hostedzone/)?[A-Z0-9]{1,32}$`), "the id of a hosted zone, such as Z0123456789EXAMPLE"),
			func(s *route53Settings) *string { return &s.HostedZoneID }),
		field.Text("assume_role_arn", "AWS IAM role ARN to assume for Route53 operations",
			form(regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}$`), "the ARN of a role, such as arn:aws:iam::123456789012:role/acme-dns"),
			func(s *route53Settings) *string { return &s.AssumeRoleARN }),
		field.Text("external_id", "External ID for AWS STS AssumeRole",
			form(regexp.MustCompile(`^[\w+=,.@:/-]{2}[\w+=,.@:/-]*$`), "an external id, of letters, digits and _ + = , . @ : / -"),
			func(s *route53Settings) *string { return &s.ExternalID }),
	},
	check: func(s *route53Settings) error {
		switch {
		case (s.AccessKeyID == "") != (s.SecretAccessKey == ""):
			return errors.New("access_key_id and secret_access_key belong together; send both, or none to use the role of the virtual machine")
		case s.ExternalID != "" && s.AssumeRoleARN == "":
			return errors.New("external_id is for the role in assume_role_arn, which is not set")
		}
		return nil
	},
	open: func(s *route53Settings, label string, o Options) (dns01.Provider, error) {
		client := route53.New(route53.Options{
			Region: s.region(), Credentials: s.credentials(o), HTTPClient: o.client(), Retryer: aws.NopRetryer{},
		})
		service := &route53Sets{
			settings: s, options: o,
			listZones: client.ListHostedZonesByName, listSets: client.ListResourceRecordSets, changeSets: client.ChangeResourceRecordSets,
		}
		return &setProvider{label: label, scope: "aws-route53", service: service}, nil
	},
}

// region decides the partition: the public cloud, China, or that of the United
// States' government. Route 53 is one service for all regions of each.
func (s *route53Settings) region() string { return cmp.Or(s.Region, "us-east-1") }

// form takes text of a form, and no text for a field that is not set.
func form(accepted *regexp.Regexp, what string) func(string) (string, error) {
	return func(text string) (string, error) {
		if text != "" && !accepted.MatchString(text) {
			return "", fmt.Errorf("%.200q is not %s", text, what)
		}
		return text, nil
	}
}

// parseCredential takes what can be sent in a header. White space within it was
// copied by mistake.
func parseCredential(text string) (secret.Text, error) {
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return "", errors.New("holds a space, a line break or a character that no credential has")
		}
	}
	return secret.Text(text), nil
}
