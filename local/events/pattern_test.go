package events

import "testing"

func TestPattern(t *testing.T) {
	t.Parallel()
	record := `{"eventName":"MODIFY","nothing":null,"empty":{},"dynamodb":{"Keys":{"PK":{"S":"T#1 \u0416\"x"}},"NewImage":{"tags":{"SS":["a","b"]},"n":{"N":"5"}}}}`
	for _, tt := range []struct {
		pattern string
		want    bool
	}{
		{`{}`, true},
		{`{"eventName":["MODIFY"]}`, true},
		{`{"eventName":["INSERT","MODIFY"]}`, true},
		{`{"eventName":["INSERT"]}`, false},
		{`{"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"T#"}]}}}}`, true},
		{`{"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"W#"}]}}}}`, false},
		{`{"dynamodb":{"Keys":{"PK":{"S":["T#1 Ж\"x"]}}}}`, true},
		{`{"dynamodb":{"Keys":{"PK":{"N":["1"]}}}}`, false},
		{`{"dynamodb":{"NewImage":{"tags":{"SS":["b"]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"tags":{"SS":["c"]}}}}`, false},
		{`{"dynamodb":{"NewImage":{"n":{"N":["5"]}}}}`, true},
		{`{"dynamodb":{"OldImage":{"n":{"N":[{"exists":false}]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"n":{"N":[{"exists":false}]}}}}`, false},
		{`{"dynamodb":{"NewImage":{"n":{"N":[{"exists":true}]}}}}`, true},
		{`{"dynamodb":{"OldImage":{"n":{"N":[{"exists":true}]}}}}`, false},
		{`{"eventName":[{"anything-but":"REMOVE"}]}`, true},
		{`{"eventName":[{"anything-but":["REMOVE","MODIFY"]}]}`, false},
		{`{"missing":[{"anything-but":["REMOVE"]}]}`, false},
		{`{"eventName":["MODIFY"],"userIdentity":{"type":[{"exists":false}]}}`, true},
		{`{"eventName":["MODIFY"],"userIdentity":{"type":["Service"]}}`, false},
		{`{"eventName":{"deeper":["MODIFY"]}}`, false},
		{`{"nothing":[{"exists":true}],"empty":[{"exists":false}]}`, true},
	} {
		p, err := compile([]byte(tt.pattern))
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if got, err := p.match(node{raw: []byte(record)}); err != nil || got != tt.want {
			t.Errorf("%s: got %v, %v", tt.pattern, got, err)
		}
	}
	for _, bad := range []string{
		``, `[]`, `null`, `{"a":"b"}`, `{"a":[]}`, `{"a":[5]}`, `{"a":[null]}`, `{"a":null}`, `{"$or":[{"a":["b"]}]}`,
		`{"a":[{"prefix":5}]}`, `{"a":[{"suffix":"x"}]}`, `{"a":[{"numeric":["=",1]}]}`, `{"a":[{"exists":"yes"}]}`,
		`{"a":[{"anything-but":{"prefix":"x"}}]}`, `{"a":[{"anything-but":[]}]}`, `{"a":[{"anything-but":[5]}]}`,
		`{"a":[{"prefix":"x","exists":true}]}`, `{"a":{"b":5}}`,
	} {
		if _, err := compile([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(`{"Records":[{"dynamodb":{"SequenceNumber":"1","ApproximateCreationDateTime":1.5e9}}],"NextShardIterator":"x"}`)
	f.Add(`{"Records":[{"dynamodb":{"SequenceNumber":"1"},"userIdentity":{"PrincipalId":"p","Type":"Service"}}]}`)
	f.Add(`{"a":[1,"\\\"",{},[]],"b":null}`)
	p, err := compile([]byte(`{"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"T#"}]}}}}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = parse([]byte(s), []*pattern{p})
	})
}

func TestServiceIdentityIsSpelledAsLambdaDoes(t *testing.T) {
	t.Parallel()
	raw := `{"eventID":"1","userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"},"dynamodb":{"SequenceNumber":"7"}}`
	p, err := compile([]byte(`{"userIdentity":{"type":["Service"],"principalId":["dynamodb.amazonaws.com"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parse([]byte(`{"Records": [ `+raw+` ] , "x": -1.5e3, "NextShardIterator": "a\"b\\"}`), []*pattern{p})
	if err != nil || c.count != 1 || c.last != "7" || len(c.records) != 1 || *c.next != `a"b\` {
		t.Fatalf("got %+v %v", c, err)
	}
	want := `{"eventID":"1","userIdentity":{"principalId":"dynamodb.amazonaws.com","type":"Service"},"dynamodb":{"SequenceNumber":"7"},"eventSourceARN":"arn:x"}`
	if got := string(c.records[0].appendEvent(nil, "arn:x")); got != want {
		t.Errorf("got %s", got)
	}
}
