package dnsprovider_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	route53Host  = "route53.amazonaws.com"
	stsHost      = "sts.us-east-1.amazonaws.com"
	metadataHost = "169.254.169.254"

	awsKey    = "AKIAIOSFODNN7EXAMPLE"
	awsSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// fakeAWS is Route 53, the Security Token Service and the metadata service of a
// virtual machine.
type fakeAWS struct {
	*cloud
	*txtZones

	mu      sync.Mutex
	signer  aws.Credentials // whose signature Route 53 accepts
	region  string          // that signatures are for
	extra   []string        // hosted zones, as XML, that are listed too
	private bool            // whether the zones are
	assumed string          // body of the last AssumeRole
}

func serveAWS(t *testing.T, zones ...string) *fakeAWS {
	f := &fakeAWS{txtZones: newZones(zones...), signer: aws.Credentials{AccessKeyID: awsKey, SecretAccessKey: awsSecret}, region: "us-east-1"}
	f.cloud = serveCloud(t, map[string]http.HandlerFunc{route53Host: f.route53, stsHost: f.sts, metadataHost: f.metadata})
	return f
}

// verify computes the signature again (AWS Signature Version 4) from the headers
// that the request says it covers.
func verify(r *http.Request, body []byte, who aws.Credentials, service, region string) error {
	authorization := r.Header.Get("Authorization")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(authorization, "SignedHeaders=")
	signed, _, _ := strings.Cut(rest, ",")
	names := strings.Split(signed, ";")
	for _, must := range []string{"host", "x-amz-date"} {
		if !slices.Contains(names, must) {
			return fmt.Errorf("the signature does not cover %s: %s", must, authorization)
		}
	}
	again, err := http.NewRequest(r.Method, "https://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	for _, name := range names {
		if values := r.Header.Values(name); len(values) > 0 {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if !slices.Contains(names, "content-length") {
		again.ContentLength = 0
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), who, again, hex.EncodeToString(sum[:]), service, region, at); err != nil {
		return err
	}
	if want := again.Header.Get("Authorization"); authorization != want {
		return fmt.Errorf("the signature is\n%s, want\n%s", authorization, want)
	}
	return nil
}

func awsRefusal(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, awsErrorBody(code, message)) // the client may be gone
}

func awsErrorBody(code, message string) string {
	return `<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>` + message + `</Message></Error><RequestId>b25f48e8-84fd-11e6-80d9-574e0c4664cb</RequestId></ErrorResponse>`
}

func (f *fakeAWS) route53(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what is missing fails the signature
	f.mu.Lock()
	who, region := f.signer, f.region
	f.mu.Unlock()
	if err := verify(r, body, who, "route53", region); err != nil {
		awsRefusal(w, http.StatusForbidden, "SignatureDoesNotMatch", err.Error())
		return
	}
	f.Lock()
	defer f.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/2013-04-01/")
	switch {
	case path == "hostedzonesbyname":
		f.listZones(w, r.URL.Query().Get("dnsname"))
	case !strings.HasPrefix(path, "hostedzone/Z") || !slices.Contains(f.names, zoneOfID(path)):
		awsRefusal(w, http.StatusNotFound, "NoSuchHostedZone", "No hosted zone found with ID: "+path)
	case strings.HasSuffix(path, "/rrset") && r.Method == http.MethodGet:
		f.listSets(w, r.URL.Query().Get("name"), r.URL.Query().Get("type"))
	case strings.HasSuffix(path, "/rrset") && r.Method == http.MethodPost:
		f.changeSets(w, body, zoneOfID(path))
	default:
		awsRefusal(w, http.StatusBadRequest, "InvalidInput", "unknown request "+r.Method+" "+path)
	}
}

// zoneID is the id of a zone: Z and its name in hexadecimal.
func zoneID(name string) string { return "Z" + strings.ToUpper(hex.EncodeToString([]byte(name))) }

func zoneOfID(path string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(path, "hostedzone/Z"), "/")
	name, err := hex.DecodeString(id)
	if err != nil {
		return ""
	}
	return string(name)
}

// listZones answers with all zones from that name on; here, with all, in the
// order of how well they fit.
func (f *fakeAWS) listZones(w http.ResponseWriter, from string) {
	sorted := slices.SortedFunc(slices.Values(f.names), func(a, b string) int {
		return cmp.Compare(abs(strings.Compare(a+".", from)), abs(strings.Compare(b+".", from)))
	})
	_, _ = fmt.Fprint(w, `<ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZones>`, strings.Join(f.extra, ""))
	for _, name := range sorted {
		_, _ = fmt.Fprintf(w, hostedZone, zoneID(name), name, f.private)
	}
	_, _ = fmt.Fprint(w, `</HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesByNameResponse>`)
}

const hostedZone = `<HostedZone><Id>/hostedzone/%s</Id><Name>%s.</Name><CallerReference>x</CallerReference><Config><PrivateZone>%t</PrivateZone></Config></HostedZone>`

func abs(n int) int { return max(n, -n) }

type rrset struct {
	Name, Type string
	TTL        int64
	Records    []rr `xml:"ResourceRecords>ResourceRecord"`
}

type rr struct{ Value string }

func rrs(values []string) (out []rr) {
	for _, v := range values {
		out = append(out, rr{v})
	}
	return out
}

func (s rrset) values() (out []string) {
	for _, r := range s.Records {
		out = append(out, r.Value)
	}
	return out
}

// listSets answers with the first set from that name and type on.
func (f *fakeAWS) listSets(w http.ResponseWriter, name, kind string) {
	all := slices.Sorted(func(yield func(string) bool) {
		for n := range f.records {
			_ = yield(n)
		}
	})
	var sets []rrset
	for _, n := range all {
		if n+"." >= name && kind == "TXT" && len(f.records[n]) > 0 && len(sets) == 0 {
			sets = append(sets, rrset{Name: n + ".", Type: "TXT", TTL: f.records[n][0].ttl, Records: rrs(f.values(n))})
		}
	}
	out, _ := xml.Marshal(struct {
		XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListResourceRecordSetsResponse"`
		Sets    []rrset  `xml:"ResourceRecordSets>ResourceRecordSet"`
		More    bool     `xml:"IsTruncated"`
		Max     int      `xml:"MaxItems"`
	}{Sets: sets, Max: 1})
	_, _ = w.Write(out)
}

// changeSets makes all changes or none.
func (f *fakeAWS) changeSets(w http.ResponseWriter, body []byte, zone string) {
	var in struct {
		Changes []struct {
			Action string
			Set    rrset `xml:"ResourceRecordSet"`
		} `xml:"ChangeBatch>Changes>Change"`
	}
	if err := xml.Unmarshal(body, &in); err != nil {
		awsRefusal(w, http.StatusBadRequest, "MalformedInput", err.Error())
		return
	}
	after := map[string][]string{}
	now := func(name string) []string {
		if values, ok := after[name]; ok {
			return values
		}
		return f.values(name)
	}
	for _, c := range in.Changes {
		name := strings.TrimSuffix(c.Set.Name, ".")
		var wrong string
		switch {
		case !strings.HasSuffix("."+name, "."+zone):
			wrong = "RRSet with DNS name " + name + ". is not permitted in zone " + zone + "."
		case c.Set.Type != "TXT" || slices.ContainsFunc(c.Set.values(), func(v string) bool { return !strings.HasPrefix(v, `"`) }):
			wrong = "Invalid Resource Record: TXT values must be enclosed in quotation marks"
		case c.Action == "CREATE" && len(now(name)) > 0:
			wrong = "Tried to create resource record set [name='" + name + ".', type='TXT'] but it already exists"
		case c.Action == "DELETE" && (!slices.Equal(now(name), c.Set.values()) || f.records[name][0].ttl != c.Set.TTL):
			wrong = "Tried to delete resource record set [name='" + name + ".', type='TXT'] but the values provided do not match the current values"
		}
		if wrong != "" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `<InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>`+wrong+`</Message></Messages><RequestId>x</RequestId></InvalidChangeBatch>`)
			return
		}
		after[name] = nil
		if c.Action == "CREATE" {
			after[name] = c.Set.values()
		}
	}
	for _, c := range in.Changes {
		name := strings.TrimSuffix(c.Set.Name, ".")
		f.replaceAll(name, after[name], c.Set.TTL)
	}
	_, _ = io.WriteString(w, `<ChangeResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-09-01T12:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>`)
}
