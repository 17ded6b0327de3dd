package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// Config is how the runtime reaches Membridge, and how that went last. The admin
// key itself is never in the table.
type Config struct {
	MembridgeURL   string
	AdminKeyMasked string
	Connected      bool
	LastTest       clock.Millis // 0 = never

	LastSuccess         clock.Millis // 0 = never
	LastError           string       // of the last call, "" when it succeeded
	ConsecutiveFailures int
}

// Config reads the configuration; the zero Config before the first save.
func (t *Table) Config(ctx context.Context) (Config, error) {
	i, _, err := t.get(ctx, key{pkConfig, pkConfig})
	if err != nil {
		return Config{}, err
	}
	return decodeConfig(i), nil
}

func decodeConfig(i item) Config {
	return Config{
		MembridgeURL: i.str("url"), AdminKeyMasked: i.str("key_masked"), Connected: i.bool("connected"),
		LastTest: i.millis("last_test"), LastSuccess: i.millis("last_success"),
		LastError: i.str("last_error"), ConsecutiveFailures: i.int("failures"),
	}
}

// SaveConfig stores where Membridge is. What is known of the connection stays.
func (t *Table) SaveConfig(ctx context.Context, url, masked, actor string) (Config, error) {
	u := newUpdate()
	u.setTo("url", str(url))
	u.setTo("key_masked", str(masked))
	u.setTo("change", encodeChange(AuditEntry{Action: "config_updated", Actor: actor, Detail: "Membridge at " + url}.dated(t.now())))
	return t.updateConfig(ctx, u)
}

// SaveConnection stores how a call to Membridge went; failure is "" for a success.
func (t *Table) SaveConnection(ctx context.Context, failure string) (Config, error) {
	u := newUpdate()
	u.setTo("connected", boolean(failure == ""))
	u.setTo("last_test", num(t.now()))
	u.noteReach(failure, t.now())
	return t.updateConfig(ctx, u)
}

// noteReach adds how a call went.
func (u *update) noteReach(failure string, now clock.Millis) {
	if failure == "" {
		u.setTo("last_success", num(now))
		u.setTo("failures", num(0))
		u.removeAttr("last_error")
		return
	}
	u.setTo("last_error", str(failure))
	u.add = append(u.add, u.name("failures")+" "+u.value(num(1)))
}

func (t *Table) updateConfig(ctx context.Context, u *update) (Config, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: key{pkConfig, pkConfig}.item(), UpdateExpression: aws.String(u.expression()),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValues: types.ReturnValueAllNew, ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		return Config{}, t.fail("save config", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return decodeConfig(out.Attributes), nil
}
