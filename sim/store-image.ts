/** A sorted map of byte strings: the rows of a simulated store at one moment. */
import type { KeyRange, StoreOperation } from '../runtime/ports/store.ts'

type Row = readonly [Uint8Array, Uint8Array]

export interface Image {
  get(key: Uint8Array): Uint8Array | undefined
  /** The rows of a range as of now, in its order. */
  rows(range: KeyRange): readonly Row[]
  apply(operations: readonly StoreOperation[]): void
  /** An independent image with the same rows. */
  copy(): Image
}

/** An image with the given rows, by their key as `keyText`. */
export function createImage(entries: ReadonlyMap<string, Row> = new Map()): Image {
  const byKey = new Map(entries)
  let sorted: string[] | undefined
  const keys = (): string[] => (sorted ??= [...byKey.keys()].sort(compareCodeUnits))

  return {
    get: (key) => byKey.get(keyText(key))?.[1].slice(),
    rows: (range) => {
      const all = keys()
      const from = range.gte === undefined ? 0 : lowerBound(all, keyText(range.gte))
      const to = range.lt === undefined ? all.length : lowerBound(all, keyText(range.lt))
      const inRange = all.slice(from, Math.max(from, to))
      if (range.reverse === true) inRange.reverse()
      return inRange.slice(0, range.limit ?? inRange.length).flatMap((key) => {
        const row = byKey.get(key)
        return row === undefined ? [] : [[row[0].slice(), row[1].slice()] as const]
      })
    },
    apply: (operations) => {
      for (const operation of operations) {
        const key = keyText(operation.key)
        if (operation.type === 'put') {
          if (!byKey.has(key)) sorted = undefined
          byKey.set(key, [operation.key, operation.value])
        } else if (byKey.delete(key)) {
          sorted = undefined
        }
      }
    },
    copy: () => createImage(byKey)
  }
}

/** One UTF-16 unit per byte, so that the order of texts is that of unsigned bytes. */
function keyText(key: Uint8Array): string {
  let text = ''
  for (const byte of key) text += String.fromCharCode(byte)
  return text
}

function compareCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The first position whose key is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
