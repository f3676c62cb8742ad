package main

import "testing"

func TestCommandsAreShownAsTyped(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"write", "a/b", "csr=@web.csr"}, "vault write a/b csr=@web.csr"},
		{[]string{"write", "a/b", "identifiers=*.example.com"}, "vault write a/b 'identifiers=*.example.com'"},
		{[]string{"write", "a/b", "x=it's"}, `vault write a/b 'x=it'\''s'`},
		{[]string{"write", "a/b", "x=$HOME"}, "vault write a/b 'x=$HOME'"},
	} {
		if got := commandLine(row.args); got != row.want {
			t.Errorf("%q is shown as %s, want %s", row.args, got, row.want)
		}
	}
}

func TestValueReadsTheTable(t *testing.T) {
	t.Parallel()
	const table = "Key                 Value\n---                 -----\nchallenge_auth      tok.print\nexpires             2026-01-01T00:00:00Z\n"
	if got, err := value(table, "challenge_auth"); err != nil || got != "tok.print" {
		t.Errorf("challenge_auth is %q, %v", got, err)
	}
	if got, err := value(table, "challenge"); err == nil {
		t.Errorf("a row that is not there has the value %q", got)
	}
}
