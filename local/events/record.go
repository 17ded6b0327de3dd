package events

import (
	"bytes"
	"strconv"
	"time"
)

// record is a stream's record.
type record struct {
	raw      []byte // JSON as it came
	sequence string
	created  time.Time // to the second
}

// parse reads the records of a GetRecords answer that pass one of the filters (all of them when there is none). last is
// the number of the last record, passed or not; "" = the answer has none.
func parse(body []byte, filters []*pattern) (records []record, count int, last string, err error) {
	err = eachField(body, func(name, list []byte) error {
		if string(name) != "Records" {
			return nil
		}
		return eachElement(list, func(raw []byte) error {
			r, err := parseRecord(raw)
			if err != nil {
				return err
			}
			count, last = count+1, r.sequence
			ok, err := passes(r.raw, filters)
			if ok {
				records = append(records, r)
			}
			return err
		})
	})
	return records, count, last, err
}

func parseRecord(raw []byte) (record, error) {
	r := record{raw: raw}
	err := eachField(raw, func(name, value []byte) error {
		switch string(name) {
		case "userIdentity":
			if value[0] == '{' {
				r.raw = lambdaSpelling(raw, value)
			}
			return nil
		case "dynamodb":
		default:
			return nil
		}
		return eachField(value, func(name, value []byte) error {
			switch string(name) {
			case "SequenceNumber":
				r.sequence, _ = text(value)
			case "ApproximateCreationDateTime":
				seconds, err := strconv.ParseFloat(string(value), 64)
				if err != nil {
					return errJSON
				}
				r.created = time.UnixMilli(int64(seconds * 1000))
			}
			return nil
		})
	})
	if err == nil && r.sequence == "" {
		err = errJSON
	}
	return r, err
}

func passes(raw []byte, filters []*pattern) (bool, error) {
	if len(filters) == 0 {
		return true, nil
	}
	for _, f := range filters {
		if ok, err := f.match(raw); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// lambdaSpelling writes the service's identity, which the stream spells PrincipalId and Type, as Lambda's events do. Only
// records of expired items have one.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
func lambdaSpelling(raw, identity []byte) []byte {
	spelled := bytes.Replace(identity, []byte(`"PrincipalId"`), []byte(`"principalId"`), 1)
	spelled = bytes.Replace(spelled, []byte(`"Type"`), []byte(`"type"`), 1)
	return bytes.Replace(raw, identity, spelled, 1)
}

// appendEvent appends the record as Lambda hands it to a function: with the stream's ARN.
// https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
func (r record) appendEvent(dst []byte, arn string) []byte {
	dst = append(dst, r.raw[:len(r.raw)-1]...)
	dst = append(dst, `,"eventSourceARN":"`...)
	dst = append(dst, arn...)
	return append(dst, '"', '}')
}
