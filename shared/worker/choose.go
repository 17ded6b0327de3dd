package worker

// Choose picks the worker for a task: of those that hold a lease of the task's
// context the one with the most free capacity (its files and session are
// there), else of all others the one with the most free capacity; equals go by
// id. ok is false when none can take a task now.
func Choose(sticky, others []Worker) (w Worker, ok bool) {
	if w, ok = mostFree(sticky); ok {
		return w, true
	}
	return mostFree(others)
}

func mostFree(ws []Worker) (best Worker, ok bool) {
	for _, w := range ws {
		if !w.CanTake() {
			continue
		}
		if !ok || w.Free() > best.Free() || w.Free() == best.Free() && w.ID < best.ID {
			best, ok = w, true
		}
	}
	return best, ok
}
