package value

// TranscodeStored appends the JSON of a stored item to dst, as DecodeStored and AppendItem would, without making the item:
// most of what is read goes out as it is. size is the item's by Size.
func TranscodeStored(dst, stored []byte) (json []byte, size int, err error) {
	t := transcoder{reader: reader{src: string(stored)}, dst: dst}
	if t.byte() != storedVersion {
		return dst, 0, ErrDamaged
	}
	_, size = t.fields(1)
	if t.bad || t.src != "" {
		return dst, 0, ErrDamaged
	}
	return t.dst, size, nil
}

// LikelyJSON guesses how long the JSON of a stored item is, rather too much than too little.
func LikelyJSON(stored []byte) int { return len(stored) + min(len(stored)/2, 1<<10) }

// transcoder reads a stored item and writes it as it goes.
type transcoder struct {
	reader
	dst []byte
}

// fields writes a map's fields and gives how many there are, and their size.
func (t *transcoder) fields(level int) (n, size int) {
	n = t.count()
	t.dst = append(t.dst, '{')
	for i := range n {
		if i > 0 {
			t.dst = append(t.dst, ',')
		}
		name := t.validText()
		t.dst = append(appendQuoted(t.dst, name), ':')
		size += len(name) + t.value(level)
		if t.bad {
			return n, size
		}
	}
	t.dst = append(t.dst, '}')
	return n, size
}

// value writes one value and gives its size.
func (t *transcoder) value(level int) (size int) {
	if level > MaxLevels {
		t.fail()
		return 0
	}
	before := t.src
	switch Kind(t.byte()) {
	case S:
		s := t.validText()
		t.dst = append(appendQuoted(append(t.dst, `{"S":`...), s), '}')
		return len(s)
	case N:
		s := t.numberText()
		t.dst = append(append(append(t.dst, `{"N":"`...), s...), `"}`...)
		return numberSize(s)
	case L:
		t.dst = append(t.dst, `{"L":`...)
		size = t.list(level + 1)
	case M:
		t.dst = append(t.dst, `{"M":`...)
		n, inner := t.fields(level + 1)
		size = 3 + n + inner
	default:
		// The rest is rare: read it whole and write it as AppendValue does.
		if !t.bad {
			t.src = before
		}
		v := t.reader.value(level)
		t.dst = AppendValue(t.dst, v)
		return v.Size()
	}
	t.dst = append(t.dst, '}')
	return size
}

func (t *transcoder) list(level int) (size int) {
	n := t.count()
	size = 3 + n
	t.dst = append(t.dst, '[')
	for i := range n {
		if i > 0 {
			t.dst = append(t.dst, ',')
		}
		size += t.value(level)
		if t.bad {
			return size
		}
	}
	t.dst = append(t.dst, ']')
	return size
}
