package dynamodb

import (
	"context"
	"encoding/json"
	"strings"
)

// Limits of the streams' lists.
const (
	maxStreams = 100
	maxShards  = 100
)

var errNoStream = failure("ResourceNotFoundException", "Requested resource not found: Stream not found")

type streamListing struct {
	StreamArn, TableName, StreamLabel string
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_ListStreams.html
func (s *Server) listStreams(_ context.Context, body string) ([]byte, error) {
	var p struct {
		TableName               *string
		Limit                   *int
		ExclusiveStartStreamArn string
	}
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	limit := maxStreams
	if p.Limit != nil {
		var c constraints
		limit = *p.Limit
		c.between(limit, "limit", 1, maxStreams)
		if err := c.err(); err != nil {
			return nil, err
		}
	}
	if p.ExclusiveStartStreamArn != "" && !isARN(p.ExclusiveStartStreamArn) {
		return nil, errStreamARN
	}
	name := ""
	if p.TableName != nil {
		var err error
		if name, err = tableName(p.TableName); err != nil {
			return nil, err
		}
	}
	answer := struct {
		Streams                []streamListing
		LastEvaluatedStreamArn string `json:",omitempty"`
	}{Streams: []streamListing{}}
	for _, st := range s.streamsByARN() {
		arn := st.arn(s.region)
		if name != "" && st.TableName != name || arn <= p.ExclusiveStartStreamArn {
			continue
		}
		if len(answer.Streams) == limit {
			answer.LastEvaluatedStreamArn = answer.Streams[limit-1].StreamArn
			break
		}
		answer.Streams = append(answer.Streams, streamListing{arn, st.TableName, label(st.Created)})
	}
	return json.Marshal(answer)
}

func (s *Server) streamsByARN() []*stream {
	byARN := map[string]*stream{}
	for _, st := range s.catalog.Load().streams {
		byARN[st.arn(s.region)] = st
	}
	list := make([]*stream, 0, len(byARN))
	for _, arn := range sortedKeys(byARN) {
		list = append(list, byARN[arn])
	}
	return list
}

type (
	sequenceRange struct {
		StartingSequenceNumber string
		EndingSequenceNumber   string `json:",omitempty"`
	}
	shardDescription struct {
		ShardID             string `json:"ShardId"`
		ParentShardID       string `json:"ParentShardId,omitempty"`
		SequenceNumberRange sequenceRange
	}
	streamDescription struct {
		StreamArn, StreamLabel, StreamStatus, StreamViewType, TableName string
		CreationRequestDateTime                                         float64
		KeySchema                                                       []keyElement
		Shards                                                          []shardDescription
		LastEvaluatedShardID                                            string `json:"LastEvaluatedShardId,omitempty"`
	}
)

var errStreamARN = invalid("Invalid StreamArn")

func isARN(s string) bool { return strings.HasPrefix(s, "arn:") }

// findStream finds a stream by its ARN.
func (s *Server) findStream(arn *string) (*stream, error) {
	var c constraints
	c.present(arn != nil, "streamArn")
	if err := c.err(); err != nil {
		return nil, err
	}
	if !isARN(*arn) {
		return nil, errStreamARN
	}
	if st := s.catalog.Load().streamByARN(*arn, s.region); st != nil {
		return st, nil
	}
	return nil, failure("ResourceNotFoundException", "Requested resource not found: Stream: %s not found", *arn)
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_DescribeStream.html
func (s *Server) describeStream(_ context.Context, body string) ([]byte, error) {
	var p struct {
		StreamArn             *string
		Limit                 *int
		ExclusiveStartShardID string `json:"ExclusiveStartShardId"`
		ShardFilter           *shardFilter
	}
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	var c constraints
	limit := maxShards
	if p.Limit != nil {
		limit = *p.Limit
		c.between(limit, "limit", 1, maxShards)
	}
	if p.ShardFilter != nil {
		c.enum(p.ShardFilter.Type, "shardFilter.type", childShards)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	st, err := s.findStream(p.StreamArn)
	if err != nil {
		return nil, err
	}
	d := streamDescription{
		StreamArn: *p.StreamArn, StreamLabel: label(st.Created), StreamStatus: "ENABLED", StreamViewType: st.View,
		TableName: st.TableName, CreationRequestDateTime: seconds(st.Created), KeySchema: elements(st.Key),
		Shards: []shardDescription{},
	}
	if st.Ended != 0 {
		d.StreamStatus = "DISABLED"
	}
	shards := st.shardsAfter(p.ExclusiveStartShardID, p.ShardFilter)
	if len(shards) > limit {
		shards = shards[:limit]
		d.LastEvaluatedShardID = shards[limit-1].ShardID
	}
	d.Shards = append(d.Shards, shards...)
	return json.Marshal(map[string]any{"StreamDescription": d})
}

// shardFilter asks for the children of one shard.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_ShardFilter.html
type shardFilter struct {
	Type    string
	ShardID string `json:"ShardId"`
}

const childShards = "CHILD_SHARDS"

// shardsAfter describes the shards behind the one named, all for "": ids grow, so
// that one that has gone keeps its place. A parent may have gone, too.
func (st *stream) shardsAfter(id string, filter *shardFilter) []shardDescription {
	list := make([]shardDescription, 0, len(st.Shards))
	for _, sh := range st.Shards {
		d := shardDescription{ShardID: sh.id(), ParentShardID: sh.Parent}
		if d.ShardID <= id || filter != nil && filter.Type == childShards && filter.ShardID != sh.Parent {
			continue
		}
		d.SequenceNumberRange.StartingSequenceNumber = formatSequence(sh.Start)
		if sh.End != 0 {
			d.SequenceNumberRange.EndingSequenceNumber = formatSequence(sh.End)
		}
		list = append(list, d)
	}
	return list
}
