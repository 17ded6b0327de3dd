package dynamodb

// upgrade brings data of the first layout to the present one, in one commit: the
// items of tables with time to live get their expiries as if it were switched on
// now.
func (w *writer) upgrade() error {
	version, ok, err := w.store.Latest(nil, keyVersion)
	if err != nil || !ok || string(version) == layoutVersion {
		return err
	}
	batch := w.store.NewBatch()
	next := w.catalog.clone()
	for _, t := range w.catalog.byID {
		if t.TTL == "" {
			continue
		}
		changed := *t
		changed.Enabling = next.enable(batch, t)
		if err := next.putTable(batch, &changed); err != nil {
			return err
		}
	}
	batch.Set(keyVersion, []byte(layoutVersion))
	done := make(chan error, 1)
	w.store.Commit(batch, func(err error) { done <- err })
	if err := <-done; err != nil {
		return err
	}
	w.adopt(next)()
	return nil
}
