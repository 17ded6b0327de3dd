package value

import (
	"strings"
	"testing"
)

// taskItem is about what a queued task looks like in the table.
var taskItem = `{"PK":{"S":"TASK#0192f0c1-7e3a-7c3e-9d3c-3f6a1c9b2d11"},"SK":{"S":"TASK"},"status":{"S":"queued"},"created_at":{"N":"1760000000000"},` +
	`"updated_at":{"N":"1760000000000"},"attempts":{"N":"0"},"max_attempts":{"N":"3"},"context_hints":{"L":[{"S":"a"},{"S":"b"}]},` +
	`"policy":{"M":{"timeout_sec":{"N":"120"},"budget":{"N":"0"}}},"lease_id":{"NULL":true},"prompt":{"S":"` + strings.Repeat("lorem ipsum ", 21) + `"}}`

func BenchmarkParseItem(b *testing.B) {
	b.SetBytes(int64(len(taskItem)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseItem(taskItem); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkItem(b *testing.B) {
	it, err := ParseItem(taskItem)
	if err != nil {
		b.Fatal(err)
	}
	stored := AppendStored(nil, it)
	for name, run := range map[string]func(buf []byte) []byte{
		"AppendItem":   func(buf []byte) []byte { return AppendItem(buf, it) },
		"AppendStored": func(buf []byte) []byte { return AppendStored(buf, it) },
		"DecodeStored": func(buf []byte) []byte {
			if _, err := DecodeStored(stored); err != nil {
				b.Fatal(err)
			}
			return buf
		},
		"AppendKey": func(buf []byte) []byte { return AppendKey(AppendKey(buf, it.Get("PK")), it.Get("created_at")) },
		"Size":      func(buf []byte) []byte { return append(buf, byte(Size(it))) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 4096)
			for b.Loop() {
				buf = run(buf[:0])
			}
		})
	}
}
