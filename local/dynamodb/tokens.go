package dynamodb

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// tokenLives is how long a ClientRequestToken makes a transaction idempotent, ms.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
const tokenLives = 10 * 60 * 1000

// token is a transaction's ClientRequestToken and what it was sent with.
type token struct {
	text        string
	fingerprint [sha256.Size]byte
}

var errTokenMismatch = failure("IdempotentParameterMismatchException", "The client request token was used in another request with other parameters")

// Tokens are stored by the period they came in, so that those of a period that
// is over are removed together. A period is as long as a token lives: a live one
// is in the present period or in the one before.
func periodOf(ms int64) uint32 { return uint32(ms / tokenLives) }

// stored is the time and the fingerprint.
func (t *token) stored(ms int64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(ms)), t.fingerprint[:]...)
}

// tokenUsed tells whether a transaction with this token was carried out of late.
func (w *writer) tokenUsed(t *token) (bool, error) {
	if used := w.tokens[t.text]; used != nil {
		return t.matches(used.fingerprint[:])
	}
	period := periodOf(w.now)
	for _, p := range []uint32{period, period - 1} {
		if !w.used.mayHold(p, t.text) {
			continue
		}
		v, ok, err := w.store.Latest(nil, tokenKey(p, t.text))
		if err != nil {
			return false, internal(err)
		}
		if !ok || len(v) != 8+sha256.Size || w.now-int64(binary.BigEndian.Uint64(v)) >= tokenLives {
			continue
		}
		return t.matches(v[8:])
	}
	return false, nil
}

// tokensLeft tells whether there are tokens that may be alive.
func tokensLeft(view *store.View, period uint32) (bool, error) {
	it, err := view.Iter(tokenKey(period-1, ""), []byte{kindToken + 1})
	if err != nil {
		return false, err
	}
	some := it.First()
	return some, it.Close()
}

func (t *token) matches(fingerprint []byte) (bool, error) {
	if string(fingerprint) != string(t.fingerprint[:]) {
		return false, errTokenMismatch
	}
	return true, nil
}

// useToken writes the token with the transaction that it came with.
func (w *writer) useToken(t *token) {
	w.tokens[t.text] = t
	w.used.add(t.text)
	w.batch.Set(tokenKey(periodOf(w.now), t.text), t.stored(w.now))
}
