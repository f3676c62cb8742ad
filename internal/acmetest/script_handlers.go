package acmetest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
)

// JSON answers with a document.
func JSON(status int, v any) Handler {
	return func(w http.ResponseWriter, _ *Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the client may have gone
	}
}

// Problem answers with a problem document.
func Problem(status int, problemType, detail string) Handler {
	return func(w http.ResponseWriter, _ *Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"type": problemType, "detail": detail, "status": status})
	}
}

// HTML answers with a page, as proxies do.
func HTML(status int, page string) Handler {
	return func(w http.ResponseWriter, _ *Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(page))
	}
}

// With sets a header, such as Retry-After, on the answer of another handler.
func With(name, value string, h Handler) Handler {
	return func(w http.ResponseWriter, r *Request) {
		w.Header().Set(name, value)
		h(w, r)
	}
}

// Hang answers nothing until the client gives up.
func Hang() Handler {
	return func(_ http.ResponseWriter, r *Request) { <-r.ctx.Done() }
}

// Cut drops the connection without an answer, and without having done anything.
func Cut() Handler {
	return func(http.ResponseWriter, *Request) { panic(http.ErrAbortHandler) }
}

// Lost lets the fake CA act on the request and then drops the connection: the
// client cannot know that it was heard.
func (s *ScriptServer) Lost() Handler {
	return func(_ http.ResponseWriter, r *Request) {
		s.Default(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
}

// Edit lets the fake CA answer and a test change the document and the headers
// on the way. The document is nil when the answer is not JSON.
func (s *ScriptServer) Edit(change func(document map[string]any, header http.Header)) Handler {
	return func(w http.ResponseWriter, r *Request) {
		answer := httptest.NewRecorder()
		s.Default(answer, r)
		var document map[string]any
		body := answer.Body.Bytes()
		isJSON := json.Unmarshal(body, &document) == nil
		change(document, answer.Header())
		if isJSON {
			body, _ = json.Marshal(document) // what was read as JSON can be written
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	}
}

// Sequence uses a handler for the first request, the next for the second, and
// so on; then the fake CA answers. A nil handler is the fake CA as well.
func (s *ScriptServer) Sequence(handlers ...Handler) Handler {
	var served atomic.Int64
	return func(w http.ResponseWriter, r *Request) {
		n := int(served.Add(1)) - 1
		if n < len(handlers) && handlers[n] != nil {
			handlers[n](w, r)
			return
		}
		s.Default(w, r)
	}
}

// Times uses a handler for the first n requests; then the fake CA answers.
func (s *ScriptServer) Times(n int, h Handler) Handler {
	handlers := make([]Handler, n)
	for i := range handlers {
		handlers[i] = h
	}
	return s.Sequence(handlers...)
}
