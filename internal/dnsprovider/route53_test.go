package dnsprovider_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	sessionKey    = "ASIAIOSFODNN7SESSION"
	sessionSecret = "session/secret/K7MDENG/bPxRfiCYEXAMPLEKEY"
	sessionToken  = "FwoGZXIvYXdzEXAMPLESESSIONTOKEN"
)

// awsSession is what a virtual machine's role, or one that was assumed, signs
// with.
var awsSession = aws.Credentials{AccessKeyID: sessionKey, SecretAccessKey: sessionSecret, SessionToken: sessionToken}

// awsKeys is settings with a key that the fake knows.
func awsKeys(more ...string) map[string]any {
	raw := map[string]any{"access_key_id": awsKey, "secret_access_key": awsSecret}
	for i := 0; i < len(more); i += 2 {
		raw[more[i]] = more[i+1]
	}
	return raw
}

// sts answers to AssumeRole, and from then on Route 53 wants the session.
func (f *fakeAWS) sts(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what is missing fails the signature
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := verify(r, body, f.signer, "sts", "us-east-1"); err != nil {
		awsRefusal(w, http.StatusForbidden, "SignatureDoesNotMatch", err.Error())
		return
	}
	f.assumed = string(body)
	f.signer = awsSession
	_, _ = fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		sessionKey, sessionSecret, sessionToken, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// metadata is the second version of the service, which asks for a token of its
// own first.
func (f *fakeAWS) metadata(w http.ResponseWriter, r *http.Request) {
	const own = "metadata-token"
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = io.WriteString(w, own)
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") != own:
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
		_, _ = io.WriteString(w, "dns-role")
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/dns-role":
		_, _ = fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
			sessionKey, sessionSecret, sessionToken, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestRoute53WritesToTheNamedZone(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com", "sub.example.com")
	r := proof("_acme-challenge.www.sub.example.com")
	p := f.open(t, "aws-route53", awsKeys("hosted_zone_id", "/hostedzone/"+zoneID("example.com")))
	if err := p.Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	expectTXT(t, f.txtZones, r.Name, r.Value)
	if n := f.count("GET " + route53Host + "/2013-04-01/hostedzonesbyname"); n != 0 {
		t.Errorf("the zone was looked for %d times, although it is set", n)
	}
	if n := len(f.asked); n != 2 {
		t.Errorf("%d requests, want one to read and one to write: %q", n, f.asked)
	}
	if ttl := f.records[r.Name][0].ttl; ttl != 120 {
		t.Errorf("the time to live is %d, want that of the record", ttl)
	}
}

func TestRoute53ChoosesTheLongestPublicZone(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com", "sub.example.com", "other.example")
	f.extra = []string{fmt.Sprintf(hostedZone, "ZPRIVATE", "www.sub.example.com", true)}
	p := f.open(t, "aws-route53", awsKeys())
	if err := p.Add(t.Context(), proof("_acme-challenge.www.sub.example.com")); err != nil {
		t.Fatal(err)
	}
	if n := f.count("POST " + route53Host + "/2013-04-01/hostedzone/" + zoneID("sub.example.com")); n != 1 {
		t.Errorf("the zone sub.example.com was changed %d times: %q", n, f.asked)
	}
}

func TestRoute53AsksWhichOfTwoZones(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com")
	f.extra = []string{fmt.Sprintf(hostedZone, "ZTWIN", "example.com", false)}
	err := f.open(t, "aws-route53", awsKeys()).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err, awsSecret); !failure.Refused || !strings.Contains(err.Error(), "hosted_zone_id") {
		t.Errorf("got %v, want a refusal that says which field tells them apart", err)
	}
}

func TestRoute53LeavesTheTTLOfOthers(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com")
	r := proof("_acme-challenge.example.com")
	f.put(r.Name, `"first half" "second half"`, 300)
	p := f.open(t, "aws-route53", awsKeys())
	if err := p.Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if ttl := f.records[r.Name][0].ttl; ttl != 300 {
		t.Errorf("the time to live became %d", ttl)
	}
	if err := p.Remove(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := f.values(r.Name); len(got) != 1 || got[0] != `"first half" "second half"` {
		t.Errorf("the value of somebody else became %q", got)
	}
}

func TestRoute53AssumesARole(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com")
	p := f.open(t, "aws-route53", awsKeys("assume_role_arn", "arn:aws:iam::123456789012:role/acme-dns", "external_id", "tenant/7"))
	for range 2 {
		if err := p.Add(t.Context(), proof("_acme-challenge.example.com")); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.count("POST " + stsHost); n != 1 {
		t.Errorf("the role was assumed %d times; a session lasts longer", n)
	}
	form, err := url.ParseQuery(f.assumed)
	if err != nil || form.Get("RoleArn") != "arn:aws:iam::123456789012:role/acme-dns" || form.Get("ExternalId") != "tenant/7" ||
		form.Get("RoleSessionName") != "vault-pki-external-ca" {
		t.Errorf("AssumeRole was asked for %v, %v", form, err)
	}
}

func TestRoute53TellsThatTheRoleIsTheTrouble(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com")
	f.inject(fault{on: "POST " + stsHost, status: 403, body: awsErrorBody("AccessDenied", "User is not authorized to perform sts:AssumeRole "+awsSecret)})
	err := f.open(t, "aws-route53", awsKeys("assume_role_arn", "arn:aws:iam::123456789012:role/acme-dns")).
		Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err, awsSecret); !failure.Refused || !strings.Contains(err.Error(), "STS AssumeRole answered 403 Forbidden: AccessDenied") {
		t.Errorf("got %v", err)
	}
}

func TestRoute53UsesTheRoleOfTheMachine(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com")
	f.signer = awsSession
	r := proof("_acme-challenge.example.com")
	if err := f.open(t, "aws-route53", nil).Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	expectTXT(t, f.txtZones, r.Name, r.Value)
}

func TestRoute53SaysThatTheMachineHasNoRole(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com")
	f.inject(fault{on: "GET " + metadataHost, status: 404})
	err := f.open(t, "aws-route53", nil).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err); !failure.Refused || !strings.Contains(err.Error(), "metadata") {
		t.Errorf("got %v", err)
	}
}

// TestRoute53PartitionFollowsTheRegion: the zones of China and of the United
// States' government are at other hosts, and signed for other regions.
func TestRoute53PartitionFollowsTheRegion(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]struct{ host, signedFor string }{
		"eu-central-1":  {route53Host, "us-east-1"},
		"cn-north-1":    {"route53.amazonaws.com.cn", "cn-northwest-1"},
		"us-gov-east-1": {"route53.us-gov.amazonaws.com", "us-gov-west-1"},
	} {
		t.Run(region, func(t *testing.T) {
			t.Parallel()
			f := serveAWS(t, "example.com")
			f.region = want.signedFor
			f.hosts = map[string]http.HandlerFunc{want.host: f.route53}
			if err := f.open(t, "aws-route53", awsKeys("region", region)).Add(t.Context(), proof("_acme-challenge.example.com")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRoute53RefusalsDoNotRepeatSignatures: AWS explains a wrong signature by
// what it calculated itself, session tokens included.
func TestRoute53RefusalsDoNotRepeatSignatures(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com")
	f.inject(fault{on: "GET " + route53Host, status: 403, body: awsErrorBody("SignatureDoesNotMatch",
		"The request signature we calculated does not match.\n\nThe Canonical String for this request should have been\n'GET\nx-amz-security-token:"+sessionToken+"'")})
	err := f.open(t, "aws-route53", awsKeys()).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err, awsSecret, sessionToken); !failure.Refused || !strings.Contains(err.Error(), "does not match") {
		t.Errorf("got %v", err)
	}
}

func TestRoute53TellsThrottlesFromRefusals(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"Throttling", "ThrottlingException", "PriorRequestNotComplete"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			f := serveAWS(t, "example.com")
			f.inject(fault{on: "POST " + route53Host, status: 400, header: http.Header{"Retry-After": {"3"}}, body: awsErrorBody(code, "Rate exceeded")})
			err := f.open(t, "aws-route53", awsKeys()).Add(t.Context(), proof("_acme-challenge.example.com"))
			if failure := failed(t, err, awsSecret); failure.Refused || failure.RetryAfter != 3*time.Second {
				t.Errorf("got %#v", failure)
			}
		})
	}
}

func TestRoute53LeavesRoutingPoliciesAlone(t *testing.T) {
	t.Parallel()
	f := serveAWS(t, "example.com")
	f.inject(fault{on: "GET " + route53Host + "/2013-04-01/hostedzone/", status: 200, body: `<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets><ResourceRecordSet><Name>_acme-challenge.example.com.</Name><Type>TXT</Type><SetIdentifier>a</SetIdentifier><Weight>1</Weight><TTL>60</TTL></ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>`})
	err := f.open(t, "aws-route53", awsKeys()).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err); !failure.Refused || f.count("POST") != 0 {
		t.Errorf("got %v", err)
	}
}
