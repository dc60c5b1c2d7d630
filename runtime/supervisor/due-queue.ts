/** A priority queue of moments. What is taken out may be outdated: its owner checks it against its own record. */
export interface DueQueue<K> {
  readonly size: number
  add(at: number, key: K): void
  /** The earliest moment, or undefined when empty. */
  peek(): { readonly at: number; readonly key: K } | undefined
  take(): void
  /** Drops everything that `keep` refuses. */
  prune(keep: (at: number, key: K) => boolean): void
}

/** A binary heap; `add` and `take` cost O(log n). */
export function createDueQueue<K>(): DueQueue<K> {
  let heap: { readonly at: number; readonly key: K }[] = []

  const siftUp = (start: number): void => {
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!swapIfBefore(heap, index, parent)) return
      index = parent
    }
  }
  const siftDown = (): void => {
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      const right = left + 1
      if (left >= heap.length) return
      const child = right < heap.length && isBefore(heap, right, left) ? right : left
      if (!swapIfBefore(heap, child, index)) return
      index = child
    }
  }
  const add = (at: number, key: K): void => {
    heap.push({ at, key })
    siftUp(heap.length - 1)
  }
  return {
    get size() {
      return heap.length
    },
    add,
    peek: () => heap[0],
    take: () => {
      const last = heap.pop()
      if (last === undefined || heap.length === 0) return
      heap[0] = last
      siftDown()
    },
    prune: (keep) => {
      const old = heap
      heap = []
      for (const item of old) if (keep(item.at, item.key)) add(item.at, item.key)
    }
  }
}

type Heap = { readonly at: number }[]

function isBefore(heap: Heap, left: number, right: number): boolean {
  const a = heap[left]
  const b = heap[right]
  return a !== undefined && b !== undefined && a.at < b.at
}

function swapIfBefore(heap: { readonly at: number }[], left: number, right: number): boolean {
  const a = heap[left]
  const b = heap[right]
  if (a === undefined || b === undefined || a.at >= b.at) return false
  heap[left] = b
  heap[right] = a
  return true
}
