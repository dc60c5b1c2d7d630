/** Maps and sets that are bounded by dropping what was put in first: both keep the order of insertion. */

/** Drops the entry that was put in first. */
export function dropOldest<K>(entries: Map<K, unknown> | Set<K>): void {
  for (const key of entries.keys()) {
    entries.delete(key)
    return
  }
}
