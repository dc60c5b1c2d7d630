/** How large log entries count, for every limit on messages, applying and uncommitted work. */
import type { Entry } from './types.ts'

/**
 * The encoded size of an entry as limits count it: tag and varint for type, term and index, and the payload with its
 * length. (It is the size that etcd-io/raft's encoding has, so that limits mean the same there and here.)
 */
export function entrySize(entry: Entry): number {
  const payload = entry.data.length
  const fixed = 4 + varintSize(entry.term) + varintSize(entry.index)
  return payload === 0 ? fixed : fixed + 1 + varintSize(payload) + payload
}

/** The summed `entrySize`. */
export function entriesSize(entries: readonly Entry[]): number {
  let size = 0
  for (const entry of entries) size += entrySize(entry)
  return size
}

/** The summed payload bytes; entries without payload (no-ops, leaving a joint configuration) count nothing. */
export function payloadsSize(entries: readonly Pick<Entry, 'data'>[]): number {
  let size = 0
  for (const entry of entries) size += entry.data.length
  return size
}

/** The longest prefix within `maxBytes`, never empty unless the input is. */
export function limitSize(entries: readonly Entry[], maxBytes: number): readonly Entry[] {
  if (maxBytes === Infinity || entries.length <= 1) return entries
  let size = 0
  for (const [at, entry] of entries.entries()) {
    size += entrySize(entry)
    if (size > maxBytes && at > 0) return entries.slice(0, at)
  }
  return entries
}

/** Bytes of a non-negative safe integer in base-128. */
export function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 128; rest /= 128) size++
  return size
}
