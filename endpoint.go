package pkiexternalca

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// operationPrefix begins every OpenAPI operation id.
const operationPrefix = "pki-external-ca"

// request is a request with its decoded fields.
type request struct {
	*logical.Request
	fields *framework.FieldData
}

// text gives a text field, "" when it was not sent.
func (r *request) text(name string) string {
	s, _ := r.fields.Get(name).(string)
	return s
}

// flag gives a boolean field.
func (r *request) flag(name string) bool {
	b, _ := r.fields.Get(name).(bool)
	return b
}

// list gives a list field.
func (r *request) list(name string) []string {
	l, _ := r.fields.Get(name).([]string)
	return l
}

// handler does what a request asks for. Its error says whose fault it is by
// being a [statusError], or one that [answerError] knows.
type handler func(context.Context, *request) (*logical.Response, error)

// endpoint is one path of the API.
type endpoint struct {
	pattern string
	// suffix ends the OpenAPI operation ids.
	suffix string
	// synopsis and help are what `vault path-help` shows.
	synopsis, help string
	fields         map[string]*framework.FieldSchema
	operations     map[logical.Operation]operation
	// exists tells a creation from an update, for policies; nil: all writes
	// are updates.
	exists framework.ExistenceFunc
}

// operation is what one verb does at an endpoint.
type operation struct {
	summary string
	do      handler
	// answers describes the fields of a 200; nil with empty means a 204.
	answers map[string]*framework.FieldSchema
	empty   bool
	// verb replaces the operation's own name in its id.
	verb string
	// anywhere lets a performance standby answer; otherwise the active node
	// does, because the handler writes or needs what was written just now.
	anywhere bool
	// unpublished keeps an operation that only explains itself out of the
	// description of the API.
	unpublished bool
}

func (b *backend) path(e endpoint) *framework.Path {
	p := &framework.Path{
		Pattern:         e.pattern,
		Fields:          e.fields,
		ExistenceCheck:  e.exists,
		Operations:      map[logical.Operation]framework.OperationHandler{},
		HelpSynopsis:    e.synopsis,
		HelpDescription: e.help,
		DisplayAttrs:    &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: e.suffix},
	}
	for verb, op := range e.operations {
		p.Operations[verb] = &framework.PathOperation{
			Callback:                    b.guard(op.do),
			Summary:                     op.summary,
			Responses:                   op.responses(),
			Unpublished:                 op.unpublished,
			ForwardPerformanceStandby:   !op.anywhere,
			ForwardPerformanceSecondary: !op.anywhere,
			DisplayAttrs:                &framework.DisplayAttributes{OperationVerb: op.verb},
		}
	}
	return p
}

func (op operation) responses() map[int][]framework.Response {
	switch {
	case op.empty:
		return map[int][]framework.Response{http.StatusNoContent: {{Description: "No Content"}}}
	case op.answers != nil:
		return map[int][]framework.Response{http.StatusOK: {{Description: "OK", Fields: op.answers}}}
	}
	return nil
}

// guard calls a handler, and keeps a panic in it from taking down the process,
// which other mounts share.
func (b *backend) guard(do handler) framework.OperationFunc {
	return func(ctx context.Context, req *logical.Request, fields *framework.FieldData) (resp *logical.Response, err error) {
		defer func() {
			if cause := recover(); cause != nil {
				b.Logger().Error("a request failed by a fault of the plugin", "path", req.Path, "operation", req.Operation, "fault", cause, "stack", string(debug.Stack()))
				resp, err = nil, fmt.Errorf("the plugin failed at this request; the server's log has the cause")
			}
		}()
		if strings.Contains(req.Path, "..") { // which storage refuses in its keys
			return answerError(badRequest("%q: a name must not hold two dots in a row", req.Path))
		}
		resp, err = do(ctx, &request{Request: req, fields: fields})
		if err != nil {
			return answerError(err)
		}
		return resp, nil
	}
}

// nameField describes a name that is captured from the path.
func nameField(what string) *framework.FieldSchema {
	return &framework.FieldSchema{Type: framework.TypeString, Description: what, Required: true}
}

// named adds captured names to a description of fields.
func named(fields map[string]*framework.FieldSchema, name, what string) map[string]*framework.FieldSchema {
	out := maps.Clone(fields)
	if out == nil {
		out = map[string]*framework.FieldSchema{}
	}
	out[name] = nameField(what)
	return out
}

// oneOf makes the list of accepted values of a schema.
func oneOf[V ~string](values []V) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
