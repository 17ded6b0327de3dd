package dynamodb

import (
	"context"
	"encoding/json"
)

type ttlSpecification struct {
	AttributeName *string
	Enabled       *bool
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
func (s *Server) updateTimeToLive(ctx context.Context, body string) ([]byte, error) {
	var p struct {
		TableName               *string
		TimeToLiveSpecification *ttlSpecification
	}
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	spec := p.TimeToLiveSpecification
	var c constraints
	c.present(spec != nil, "timeToLiveSpecification")
	if spec != nil {
		c.present(spec.AttributeName != nil, "timeToLiveSpecification.attributeName")
		c.present(spec.Enabled != nil, "timeToLiveSpecification.enabled")
		if spec.AttributeName != nil {
			c.length(len(*spec.AttributeName), quoted(*spec.AttributeName), "timeToLiveSpecification.attributeName", 1, 255)
		}
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	t, err := s.named(p.TableName)
	if err != nil {
		return nil, err
	}
	err = s.submit(ctx, &write{exec: func(w *writer) (func(), error) { return w.setTTL(t.ID, *spec.AttributeName, *spec.Enabled) }})
	if err != nil {
		return nil, err
	}
	// A small table is done before the answer.
	if more, err := s.enableSome(ctx, t.ID); more || err != nil {
		s.wakeSweep()
	}
	return json.Marshal(map[string]any{"TimeToLiveSpecification": spec})
}

func (s *Server) wakeSweep() {
	select {
	case s.wake <- struct{}{}:
	default: // it was woken already
	}
}

func (w *writer) setTTL(id uint32, attr string, enabled bool) (func(), error) {
	t := w.catalog.byID[id]
	switch {
	case t == nil:
		return nil, errNoTable
	case enabled && t.TTL == attr:
		return nil, invalid("TimeToLive is already enabled")
	case enabled && t.TTL != "":
		return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.TTL)
	case !enabled && t.TTL == "":
		return nil, invalid("TimeToLive is already disabled")
	case !enabled && t.TTL != attr:
		return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.TTL)
	}
	next := w.catalog.clone()
	changed := *t
	if enabled {
		changed.TTL, changed.Enabling = attr, next.enable(w.batch, t)
	} else {
		changed.TTL, changed.Enabling = "", nil
		prefix := tablePrefix(nil, kindExpiry, id)
		w.batch.DeleteRange(prefix, after(prefix))
	}
	if err := next.putTable(w.batch, &changed); err != nil {
		return nil, err
	}
	return w.adopt(next), nil
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTimeToLive.html
func (s *Server) describeTimeToLive(_ context.Context, body string) ([]byte, error) {
	var p struct{ TableName *string }
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	t, err := s.named(p.TableName)
	if err != nil {
		return nil, err
	}
	description := map[string]string{"TimeToLiveStatus": "DISABLED"}
	if t.TTL != "" {
		description["TimeToLiveStatus"] = "ENABLED"
		description["AttributeName"] = t.TTL
	}
	if t.Enabling != nil {
		description["TimeToLiveStatus"] = "ENABLING"
	}
	return json.Marshal(map[string]any{"TimeToLiveDescription": description})
}
