/** The identity of a request body, for idempotency keys: equal for bodies that differ in spacing and key order only. */
import { createHash } from 'node:crypto'

/** SHA-256 of the body's canonical JSON, in hexadecimal. `body` nests no deeper than submissions may. */
export function fingerprint(body: unknown): string {
  return createHash('sha256').update(JSON.stringify(body, sortKeys)).digest('hex')
}

/** A replacer that writes the members of each object in the order of their names' code units. */
function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const entries = Object.entries(value)
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return Object.fromEntries(entries)
}
