package pkiexternalca

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/limit"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/retention"
)

// exampleTime is when all of it happened.
var exampleTime = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// families lists every collection with an example of each shape of its records. A
// field that is added later needs a new example that has it.
func families(t testing.TB) []family {
	t.Helper()
	id := exampleID(order.StateCompleted)
	proof := order.Proof{Place: order.Place{Provider: "rfc2136/internal", Name: "_acme-challenge.www.example.com"}, Value: "digest"}
	all := []family{
		familyOf(accounts, accountExamples()),
		familyOf(registrations, map[string]example[account.Account]{
			"begun": {"begun", account.Account{
				Name: "begun", DirectoryURL: "https://ca.example/directory", Contacts: []string{}, KeyKind: keys.EC256, Key: exampleAccountKey,
				Versions: []account.KeyVersion{{Kind: keys.EC256, Created: exampleTime}}, Created: exampleTime, Updated: exampleTime,
			}},
		}),
		familyOf(roles, roleExamples()),
		familyOf(orders, orderExamples(t)),
		familyOf(orderKeys, map[string]example[storedKey]{"ec": {orderPath(id), storedKey{Key: exampleOrderKey}}}),
		familyOf(certificates, map[string]example[order.Certificate]{
			"with-chain": {orderPath(id), exampleCertificate([]string{exampleCA})},
			"alone":      {orderPath(exampleID(order.StateRevoked)), exampleCertificate([]string{})},
		}),
		familyOf(orderHours, map[string]example[hourMark]{
			"never-looked-through": {"2026030111", hourMark{}},
			"looked-through":       {id.Hour(), hourMark{Policy: retention.Defaults, NextTidy: exampleTime.Add(day)}},
			"kept-for-ever":        {"2026030113", hourMark{Policy: retention.Policy{Failed: day}}},
		}),
		familyOf(active, map[string]example[struct{}]{"mark": {"web/" + string(exampleID(order.StateAwaiting)), struct{}{}}}),
		familyOf(serials, map[string]example[reference]{"reference": {serialPath("4f:a1:02:99"), reference{Order: id}}}),
		familyOf(configs, map[string]example[mountConfig]{
			"empty": {"unused", mountConfig{}},
			"everything": {configName, mountConfig{
				Propagation: examplePropagation, MaxRequests: 32, TidyFailed: new(3 * day), TidyCompleted: new(time.Duration(0)),
			}},
		}),
		familyOf(debts, map[string]example[debt]{
			"of-orders": {debtPath(proof), debt{Proof: proof, Orders: []order.ID{id, exampleID(order.StateAwaiting)}, Since: exampleTime}},
			"of-a-trial": {"webhook/w/00000000000000000000000000000000", debt{
				Proof: order.Proof{Place: order.Place{Provider: "webhook/w", Name: "_acme-challenge.example.com"}, Value: "v"}, Since: exampleTime,
			}},
		}),
		familyOf(accountHolds, map[string]example[limit.Hold]{"waiting": {"full", limit.Hold{
			Since: exampleTime, Last: exampleTime, Until: exampleTime.Add(time.Hour), Count: 2, Why: "too many orders", Order: string(id), Waiting: true, Busy: true,
		}}}),
		familyOf(setHolds, map[string]example[setHold]{"for-a-person": {setPath("full", []string{"www.example.com"}), setHold{
			limit.Hold{Since: exampleTime, Last: exampleTime, Until: exampleTime.Add(day), Count: 1, Why: "paused", Human: true}, []string{"www.example.com"},
		}}}),
		familyOf(current, map[string]example[standing]{
			"certified": {"web/certified", standing{Order: id}},
			"begun":     {"web/begun", standing{Live: exampleID(order.StateAwaiting)}},
			"both":      {"web/both", standing{Order: id, Live: exampleID(order.StateAwaiting)}},
		}),
	}
	return append(all, providerExamples()...)
}

func accountExamples() map[string]example[account.Account] {
	plain := account.Account{
		Name: "plain", DirectoryURL: "https://ca.example/directory", Contacts: []string{}, KeyKind: keys.EC256,
		URL: "https://ca.example/account/1", Key: exampleAccountKey,
		Versions: []account.KeyVersion{{Kind: keys.EC256, Created: exampleTime}}, Created: exampleTime, Updated: exampleTime,
	}
	full := plain
	full.Name, full.Contacts, full.TrustedCA, full.EABKID = "full", []string{"admin@example.com", "b@example.com"}, exampleCA, "kid-1"
	full.Versions = []account.KeyVersion{{Kind: keys.RSA2048, Created: exampleTime}, {Kind: keys.EC256, Created: exampleTime.Add(day)}}
	full.Profiles = map[string]string{"shortlived": "six days"}
	changing := plain
	changing.Name = "changing"
	changing.Candidate = &account.Candidate{Key: exampleCandidateKey, Kind: keys.EC256, Created: exampleTime.Add(time.Hour)}
	deleting := plain
	deleting.Name, deleting.Deleting = "deleting", true
	return map[string]example[account.Account]{
		"plain": {"plain", plain}, "everything": {"full", full}, "key-change-under-way": {"changing", changing}, "deletion-under-way": {"deleting", deleting},
	}
}

func roleExamples() map[string]example[role] {
	least := role{
		Name: "least", Rev: 1, Account: "plain", Domains: []string{}, Options: []domainmatch.Option{}, ChallengeTypes: acme.ChallengeTypes,
		KeyKind: keys.EC256, Population: order.CNFirst, Created: exampleTime, Updated: exampleTime,
	}
	full := least
	full.Name, full.Rev, full.Account = "web", 7, "full"
	full.Domains = []string{"example.com", "*.example.org", "{{identity.entity.name}}.users.example.com"}
	full.Options = domainmatch.Options()
	full.ChallengeTypes = []acme.ChallengeType{acme.DNS01}
	full.KeyKind, full.Population = keys.RSA4096, order.SANsOnly
	full.Profile, full.PreferredChain = "shortlived", "Throwaway CA"
	full.DNSProviderType, full.DNSProviderName = "rfc2136", "internal"
	return map[string]example[role]{"least": {"least", least}, "everything": {"web", full}}
}

var examplePropagation = dnsprovider.Propagation{
	Check: dns01.Recursive, Nameservers: []string{"192.0.2.53:53"}, Timeout: time.Minute, Interval: 3 * time.Second,
}

// exampleSettings are those of each type of DNS provider.
var exampleSettings = map[string]fields{
	"aws-route53": {
		"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "throwaway/throwaway/throwaway/throwaway0", "region": "eu-central-1",
		"hosted_zone_id": "Z1", "assume_role_arn": "arn:aws:iam::123456789012:role/r", "external_id": "e-1",
	},
	"azure-dns": {
		"client_id": "00000000-0000-0000-0000-000000000001", "client_secret": "throwaway", "tenant_id": "00000000-0000-0000-0000-000000000002",
		"subscription_id": "00000000-0000-0000-0000-000000000003", "resource_group_name": "dns", "zone_name": "example.com", "environment": "AzureChina",
	},
	"google-cloud-dns": {"project": "project-1", "zone_name": "zone-1", "impersonate_service_account": "dns@project-1.iam.gserviceaccount.com"},
	"rfc2136": {
		"nameserver": "192.0.2.53:53", "tsig_key_name": "key.", "tsig_algorithm": "hmac-sha512", "tsig_secret": "dGhyb3dhd2F5dGhyb3dhd2F5dGhyb3dhd2F5dGhyb3dhd2F5",
	},
	"cloudflare":  {"api_token": "throwaway-throwaway-throwaway-throwaway0", "zone_id": "0123456789abcdef0123456789abcdef"},
	"dnsimple":    {"access_token": "throwaway", "account_id": "1010", "sandbox": true},
	"dnsmadeeasy": {"api_key": "key", "api_secret": "throwaway", "sandbox": true},
	"powerdns":    {"base_url": "https://dns.example.com:8081", "api_key": "throwaway", "server_id": "localhost"},
	"acme-dns": {
		"base_url": "https://auth.example.com", "username": "u", "password": "throwaway",
		"subdomain": "00000000-0000-0000-0000-000000000004", "full_domain": "00000000-0000-0000-0000-000000000004.auth.example.com",
	},
	"webhook": {"endpoint": "https://dns.example.com/hook", "username": "u", "password": "throwaway"},
}

// providerExamples are a provider of each type with everything that it can have.
func providerExamples() []family {
	var all []family
	for _, kind := range dnsprovider.Types {
		raw := with(exampleSettings[kind.Name()], fields{
			"identifiers": "example.com,*.example.com", "ttl": "90s", "challenge_alias": "validation.example.net",
			"propagation_check": "recursive", "nameservers": "192.0.2.53:53", "propagation_timeout": 60, "propagation_interval": 3,
		})
		all = append(all, providerFamily(kind, raw))
	}
	return all
}

func providerFamily(kind dnsprovider.Type, raw fields) family {
	if kind.Name() == "acme-dns" {
		delete(raw, "challenge_alias") // it has a place of its own
	}
	create := func() (dnsprovider.Entry, error) {
		return kind.Create("example", &framework.FieldData{Raw: raw, Schema: kind.Schema(nil)}, exampleTime)
	}
	f := family{
		prefix: dnsprovider.Prefix + kind.Name() + "/", examples: []string{"everything"},
		at: func(string) string { return "example" },
	}
	f.write = func(ctx context.Context, _ string) ([]byte, error) {
		e, err := create()
		if err != nil {
			return nil, err
		}
		return written(f.prefix+"example", func(s logical.Storage) error { return kind.Put(ctx, s, e) })
	}
	f.same = func(ctx context.Context, _ string, stored []byte) error {
		want, err := create()
		if err != nil {
			return err
		}
		s := &logical.InmemStorage{}
		if err := s.Put(ctx, &logical.StorageEntry{Key: f.prefix + "example", Value: stored}); err != nil {
			return err
		}
		got, err := kind.Get(ctx, s, "example")
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(got.Show(), want.Show()) || !reflect.DeepEqual(got.Common(), want.Common()) {
			return fmt.Errorf("it is read as\n%v, want\n%v", got.Show(), want.Show())
		}
		// What is hidden is held by what is written again.
		again, err := written(f.prefix+"example", func(s logical.Storage) error { return kind.Put(ctx, s, got) })
		if err == nil && versionOfStored(again) == versionOfStored(stored) && string(again) != string(stored) {
			err = fmt.Errorf("written again it is another")
		}
		return err
	}
	return f
}
