package dynamodb

import (
	"errors"

	"github.com/bloom-runtime/bloom/local/dynamodb/expr"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

var errEmptyIndexKey = invalid("One or more parameter values are not valid. " +
	"The update expression attempted to update a secondary index key to a value that is not supported. " +
	"The AttributeValue for a key attribute cannot contain an empty string value.")

type changeKind uint8

const (
	changePut changeKind = iota
	changeUpdate
	changeDelete
	changeCheck // a condition alone, in a transaction
)

// change is one action on one item: made ready by the goroutine of the request,
// carried out by the writer, which fills in the outcome.
type change struct {
	kind   changeKind
	table  *table
	keys   value.Item // the key attributes
	key    []byte     // the key in the store
	item   value.Item // of a put
	stored []byte     // of a put: item as stored
	update *expr.Update
	cond   *expr.Condition
	args   expr.Args
	// showOld: ReturnValuesOnConditionCheckFailure is ALL_OLD.
	showOld bool
	// expired: the item is deleted since its time has passed.
	expired bool
	left    bool // of a batch: unprocessed, by a fault

	// The outcome. old and new are nil for no item. err refuses the change;
	// nothing is written then.
	old, new value.Item
	err      error
}

// evaluate decides what the change does to the item that is there now. It
// writes nothing.
func (c *change) evaluate(t *table, old value.Item) {
	c.old = old
	if c.cond != nil {
		ok, err := c.cond.Eval(old, c.args)
		if err != nil {
			c.err = err
			return
		}
		if !ok {
			c.err = c.refused()
			return
		}
	}
	switch c.kind {
	case changePut:
		c.new = c.item
	case changeUpdate:
		c.new, c.err = c.updated(t, old)
	case changeDelete:
		c.new = nil
	case changeCheck:
		c.new = old
	}
}

func (c *change) refused() error {
	if c.showOld {
		return conditionFailed(c.old)
	}
	return errConditionFailed
}

func (c *change) updated(t *table, old value.Item) (value.Item, error) {
	item := old
	if old == nil {
		item = c.keys // an update that makes an item begins with its key
	}
	if c.update != nil {
		var err error
		if item, err = c.update.Apply(item, c.args); err != nil {
			return nil, err
		}
		if old == nil && c.update.OnlyRemoves() {
			return nil, nil
		}
	}
	if err := t.checkIndexKeys(item); err != nil {
		if api := (*apiError)(nil); errors.As(err, &api) && api.key == keyEmpty {
			return nil, errEmptyIndexKey
		}
		return nil, err
	}
	if value.Size(item) > maxItem {
		return nil, invalid("Item size to update has exceeded the maximum allowed size")
	}
	return item, nil
}
