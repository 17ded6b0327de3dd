package events

import (
	"bytes"
	"strconv"
	"time"

	"github.com/bloom-runtime/bloom/shared/jsonscan"
)

// record is a stream's record.
type record struct {
	raw      []byte // JSON, as Lambda spells it but for the stream's ARN
	sequence string
	created  time.Time // to the second
}

// chapter is an answer of GetRecords.
type chapter struct {
	records []record // those that pass one of the filters, or all where there is none
	count   int      // of all records
	last    string   // number of the last record, passed or not; "" = there is none
	next    *string  // iterator that goes on; nil at the shard's end
}

// parse reads an answer of GetRecords in one pass.
func parse(body []byte, filters []*pattern) (c chapter, err error) {
	_, err = jsonscan.EachField(body, 0, func(name []byte, at int) (int, error) {
		if string(name) == "Records" {
			return jsonscan.EachElement(body, at, func(at int) (int, error) {
				n, end, err := walkRecord(body, at)
				if err != nil {
					return 0, err
				}
				return end, c.add(n, filters)
			})
		}
		end, err := jsonscan.Skip(body, at)
		if err == nil && string(name) == "NextShardIterator" {
			if s, ok := jsonscan.Text(body[at:end]); ok {
				c.next = &s
			}
		}
		return end, err
	})
	return c, err
}

// walkRecord finds the fields of a record and those of its field dynamodb.
func walkRecord(body []byte, at int) (n node, end int, err error) {
	n.walked, n.fields = true, make([]field, 0, 8)
	end, err = jsonscan.EachField(body, at, func(name []byte, from int) (int, error) {
		value := node{}
		var to int
		var err error
		if string(name) == "dynamodb" {
			value.walked, value.fields = true, make([]field, 0, 8)
			to, err = jsonscan.EachField(body, from, func(name []byte, at int) (int, error) {
				end, err := jsonscan.Skip(body, at)
				if err == nil {
					value.fields = append(value.fields, field{name, node{raw: body[at:end]}})
				}
				return end, err
			})
		} else {
			to, err = jsonscan.Skip(body, from)
		}
		if err != nil {
			return 0, err
		}
		value.raw = body[from:to]
		n.fields = append(n.fields, field{name, value})
		return to, nil
	})
	if err == nil {
		n.raw = body[at:end]
	}
	return n, end, err
}

func (c *chapter) add(n node, filters []*pattern) error {
	n, err := lambdaSpelling(n)
	if err != nil {
		return err
	}
	r := record{raw: n.raw}
	for _, f := range n.fields {
		if string(f.name) != "dynamodb" {
			continue
		}
		for _, d := range f.value.fields {
			switch string(d.name) {
			case "SequenceNumber":
				r.sequence, _ = jsonscan.Text(d.value.raw)
			case "ApproximateCreationDateTime":
				seconds, err := strconv.ParseFloat(string(d.value.raw), 64)
				if err != nil {
					return jsonscan.ErrJSON
				}
				r.created = time.UnixMilli(int64(seconds * 1000))
			}
		}
	}
	if r.sequence == "" {
		return jsonscan.ErrJSON
	}
	c.count, c.last = c.count+1, r.sequence
	if len(filters) == 0 {
		c.records = append(c.records, r)
		return nil
	}
	for _, f := range filters {
		if ok, err := f.match(n); err != nil {
			return err
		} else if ok {
			c.records = append(c.records, r)
			return nil
		}
	}
	return nil
}

// lambdaSpelling writes the service's identity, which the stream spells PrincipalId and Type, as Lambda's events do. Only
// records of expired items have one.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
func lambdaSpelling(n node) (node, error) {
	for _, f := range n.fields {
		if string(f.name) == "userIdentity" && f.value.raw[0] == '{' {
			identity := bytes.Replace(f.value.raw, []byte(`"PrincipalId"`), []byte(`"principalId"`), 1)
			identity = bytes.Replace(identity, []byte(`"Type"`), []byte(`"type"`), 1)
			n, _, err := walkRecord(bytes.Replace(n.raw, f.value.raw, identity, 1), 0)
			return n, err
		}
	}
	return n, nil
}

// appendEvent appends the record as Lambda hands it to a function: with the stream's ARN.
// https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
func (r record) appendEvent(dst []byte, arn string) []byte {
	dst = append(dst, r.raw[:len(r.raw)-1]...)
	dst = append(dst, `,"eventSourceARN":"`...)
	dst = append(dst, arn...)
	return append(dst, '"', '}')
}
