package dynamodb

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

const apiReference = "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/"
const developerGuide = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"

// localFault is a check where DynamoDB Local and AWS's documentation differ.
type localFault struct {
	check string // the test, or the check's name in it
	local string // what DynamoDB Local answers
	why   string // what AWS documents, in README's words
	page  string // of AWS's documentation, which decides
}

// localFaults are all of them; README lists them too. Beside these, error texts
// are DynamoDB Local's own: on it only an error's name is compared.
var localFaults = []localFault{
	{"TestBadUpdates/index_type", "no error",
		"An update that gives an index's key a wrong type is refused", developerGuide + "GSI.html"},
	{"an update that only removes", "PK SK",
		"An update that only removes makes no item", apiReference + "API_UpdateItem.html"},
	{"TestScanFiltersWhatIsProjected", "no error",
		"A scan of an index looks at projected attributes only", developerGuide + "GSI.html"},
	{"an update of a wrong type in a transaction", "ValidationException",
		"An update that does not fit its item cancels its transaction, with `ValidationError`", apiReference + "API_TransactWriteItems.html"},
	{"TestLimits/empty_token", "no error",
		"A `ClientRequestToken` has at least one character", apiReference + "API_TransactWriteItems.html"},
	{"an item without its key in a transaction", "ValidationException",
		"An item that does not fit the table cancels its transaction, with `ValidationError`", apiReference + "API_TransactWriteItems.html"},
	{"a key that is not the table's in a transaction", "TransactionCanceledException []",
		"A cancelled TransactGetItems gives its reasons", apiReference + "API_TransactGetItems.html"},
	{"two actions on one item, of which one is refused", "TransactionCanceledException [ConditionalCheckFailed None]",
		"No two actions of a transaction may name one item, whatever their conditions", apiReference + "API_TransactWriteItems.html"},
	{"a write in a transaction", "12 = table 8 + G1all 4",
		"In a transaction a write costs twice on the table, once on an index", developerGuide + "transaction-apis.html"},
	{"a transaction's first use of a token", "write 4",
		"In a transaction a write costs twice on the table, once on an index", developerGuide + "transaction-apis.html"},
	{"the other half alone", "3 = table 1 + G1all 1 + G2keys 1",
		"An item without all of an index's key is not in it, and costs nothing there", developerGuide + "GSI.html"},
	{"batch delete of nothing", "2 = table 2",
		"A delete of nothing costs one unit, in a batch too", apiReference + "API_BatchWriteItem.html"},
	{"TestBadStreamRequests/describe_a_malformed_ARN", "ResourceNotFoundException",
		"A `StreamArn` that is no ARN is not valid", apiReference + "API_streams_DescribeStream.html"},
	{"TestBadStreamRequests/list_from_a_malformed_ARN", "no error",
		"A `StreamArn` that is no ARN is not valid", apiReference + "API_streams_DescribeStream.html"},
	{"query nothing", "0 = table 0",
		"A read that finds nothing costs the least unit", developerGuide + "read-write-operations.html"},
	{"batch read", "1",
		"A read that finds nothing costs the least unit", developerGuide + "read-write-operations.html"},
	{"a record's members", "1.1 aws:dynamodb ddblocal NEW_AND_OLD_IMAGES",
		"A stream record tells the region", apiReference + "API_streams_Record.html"},
}

// agree wants got to be want. On DynamoDB Local, where it is known to be wrong,
// it wants the wrong answer of the list: the list stays true.
func agree(t testing.TB, check, got, want string) {
	t.Helper()
	if f := faultOf(check); f != nil {
		want = f.local
	}
	if got != want {
		t.Errorf("%s: got %s, want %s", check, got, want)
	}
}

// faultOf finds the check in the list when the subject is DynamoDB Local.
func faultOf(check string) *localFault {
	if localURL == "" {
		return nil
	}
	for i := range localFaults {
		if localFaults[i].check == check {
			return &localFaults[i]
		}
	}
	return nil
}

// errorName is the name of an answer that failed, or "no error".
func errorName(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return "no error"
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}

func TestLocalFaultsAreInREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range localFaults {
		if !strings.Contains(string(readme), f.why) || !strings.Contains(string(readme), f.page) {
			t.Errorf("README does not list %q with %s", f.why, f.page)
		}
	}
}
