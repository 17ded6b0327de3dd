package dynamo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/jsonscan"
)

// ReadStreamEvent reads an event of Lambda. A batch may be megabytes of images of
// which little is needed: decoding it took more than all else that follows from it.
func ReadStreamEvent(payload []byte) (StreamEvent, error) {
	var e StreamEvent
	_, err := jsonscan.EachField(payload, 0, func(name []byte, at int) (int, error) {
		if string(name) == "Records" {
			return jsonscan.EachElement(payload, at, func(at int) (int, error) {
				r, end, err := readRecord(payload, at)
				e.Records = append(e.Records, r)
				return end, err
			})
		}
		end, err := jsonscan.Skip(payload, at)
		if err != nil {
			return 0, err
		}
		switch string(name) {
		case "shardId":
			e.ShardID, _ = jsonscan.Text(payload[at:end])
		case "state":
			e.State = payload[at:end]
		}
		return end, nil
	})
	if err != nil {
		return StreamEvent{}, fmt.Errorf("the event of the stream is %w", err)
	}
	return e, nil
}

// readRecord reads the record that begins at at, and tells where it ends.
func readRecord(b []byte, at int) (r Record, end int, err error) {
	end, err = jsonscan.EachField(b, at, func(name []byte, at int) (int, error) {
		if string(name) != "dynamodb" {
			return jsonscan.Skip(b, at)
		}
		return jsonscan.EachField(b, at, func(name []byte, at int) (int, error) { return r.readField(b, string(name), at) })
	})
	if err == nil && (r.sequence == "" || r.key == key{}) {
		err = jsonscan.ErrJSON
	}
	return r, end, err
}

// sequenceWidth is the longest sequence number, in digits.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html
const sequenceWidth = 40

func (r *Record) readField(b []byte, name string, at int) (end int, err error) {
	switch name {
	case "Keys":
		return eachAttr(b, at, func(name, s string) {
			switch name {
			case attrPK:
				r.key.pk = s
			case attrSK:
				r.key.sk = s
			}
		})
	case "OldImage":
		r.old = &image{}
		return r.old.read(b, at)
	case "NewImage":
		r.now = &image{}
		return r.now.read(b, at)
	}
	end, err = jsonscan.Skip(b, at)
	if err == nil && name == "SequenceNumber" {
		n, _ := jsonscan.Text(b[at:end])
		r.sequence = strings.Repeat("0", max(0, sequenceWidth-len(n))) + n
	}
	return end, err
}

func (i *image) read(b []byte, at int) (end int, err error) {
	return jsonscan.EachField(b, at, func(name []byte, at int) (int, error) {
		switch string(name) {
		case "status":
			s, end, err := readAttr(b, at)
			i.status = s
			return end, err
		case "change":
			return jsonscan.EachField(b, at, func(_ []byte, at int) (int, error) { return eachAttr(b, at, i.setChange) }) // {"M": …}
		}
		return jsonscan.Skip(b, at)
	})
}

func (i *image) setChange(name, s string) {
	switch name {
	case "id":
		i.change.ID = s
	case "at":
		ms, _ := strconv.ParseInt(s, 10, 64) // this package wrote it
		i.change.Timestamp = clock.Millis(ms)
	case "action":
		i.change.Action = s
	case "actor":
		i.change.Actor = s
	case "detail":
		i.change.Detail = s
	}
}

// eachAttr calls f with the attributes of the map that begins at at.
func eachAttr(b []byte, at int, f func(name, s string)) (end int, err error) {
	return jsonscan.EachField(b, at, func(name []byte, at int) (int, error) {
		s, end, err := readAttr(b, at)
		f(string(name), s)
		return end, err
	})
}

// readAttr reads an attribute of type S or N.
func readAttr(b []byte, at int) (s string, end int, err error) {
	end, err = jsonscan.EachField(b, at, func(_ []byte, at int) (int, error) {
		end, err := jsonscan.Skip(b, at)
		if err == nil {
			s, _ = jsonscan.Text(b[at:end])
		}
		return end, err
	})
	return s, end, err
}
