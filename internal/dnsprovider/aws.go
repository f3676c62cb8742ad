package dnsprovider

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// awsSessionName is how the session of an assumed role shows in AWS CloudTrail.
const awsSessionName = "vault-pki-external-ca"

// credentials gives those that requests are signed with: the key, or the role
// of the virtual machine; and if a role is to be assumed, those that AWS gives
// for it in exchange.
func (s *route53Settings) credentials(o Options) aws.CredentialsProvider {
	var own aws.CredentialsProvider
	if s.AccessKeyID != "" {
		own = credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey.Reveal(), "")
	} else {
		own = aws.NewCredentialsCache(instanceRole(o))
	}
	if s.AssumeRoleARN == "" {
		return own
	}
	client := sts.New(sts.Options{Region: s.region(), Credentials: own, HTTPClient: o.client(), Retryer: aws.NopRetryer{}})
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, s.AssumeRoleARN, func(r *stscreds.AssumeRoleOptions) {
		r.RoleSessionName = awsSessionName
		if s.ExternalID != "" {
			r.ExternalID = &s.ExternalID
		}
	}))
}

// instanceRole asks the metadata service, by its second version only, which
// cannot be reached through a naive forwarder (IMDSv2). Endpoint and state are
// given because the library would else look for them in the environment.
func instanceRole(o Options) aws.CredentialsProvider {
	return ec2rolecreds.New(func(r *ec2rolecreds.Options) {
		r.Client = imds.New(imds.Options{
			Endpoint: metadataHost, ClientEnableState: imds.ClientEnabled, EnableFallback: aws.FalseTernary,
			HTTPClient: o.metadataClient(), Retryer: aws.NopRetryer{},
		})
	})
}

// awsThrottles are the errors that mean that there were too many requests. AWS
// sends most of them as 400.
var awsThrottles = []string{"Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown", "PriorRequestNotComplete", "RequestThrottled"}

// awsError takes out of an error of the library what an operator can use.
func (s *route53Sets) awsError(err error) error {
	operation, ok := innermost(err)
	if !ok {
		return err
	}
	doing := operation.ServiceID + " " + operation.OperationName
	if operation.ServiceID == imds.ServiceID {
		doing = "access_key_id is not set, and the metadata service of the virtual machine"
	}
	if u, ok := errors.AsType[*url.Error](operation); ok {
		return fmt.Errorf("%s: %w", doing, u.Err)
	}
	answer, ok := errors.AsType[*smithyhttp.ResponseError](operation)
	if !ok || answer.Response == nil {
		return fmt.Errorf("%s: %w", doing, operation.Err)
	}
	rejected := &rejection{
		doing: doing, status: answer.HTTPStatusCode(),
		retryAfter: upstream.RetryAfter(answer.Response.Header.Get("Retry-After"), s.options.now()),
	}
	if said, ok := errors.AsType[smithy.APIError](operation); ok {
		rejected.detail = told(said.ErrorCode(), awsMessage(said), s.settings.SecretAccessKey)
		if slices.Contains(awsThrottles, said.ErrorCode()) {
			return busy{rejected, rejected.retryAfter}
		}
	}
	return rejected
}

// awsMessage gives the words of an error, of which one kind has a list.
func awsMessage(said smithy.APIError) string {
	if batch, ok := said.(*types.InvalidChangeBatch); ok && len(batch.Messages) > 0 {
		return strings.Join(batch.Messages, "; ")
	}
	return said.ErrorMessage()
}

// innermost gives the operation that failed: if Route 53 could not be asked
// because a role could not be assumed, that.
func innermost(err error) (found *smithy.OperationError, ok bool) {
	for {
		next, more := errors.AsType[*smithy.OperationError](err)
		if !more {
			return found, ok
		}
		found, ok, err = next, true, next.Err
	}
}
