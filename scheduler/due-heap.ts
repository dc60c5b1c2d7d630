/**
 * A binary heap of ids by due time, for tasks that wait for a moment. Derived from state, never part of it.
 *
 * Entries are not removed when their task moves on: the owner says which are live, and dead ones are dropped when they
 * surface or when they outnumber the live ones. Pops come by (due, id), so their order does not depend on how the heap
 * was built.
 */
export class DueHeap {
  private ids: number[] = []
  private dues: number[] = []
  /** Whether an entry still stands for its task. */
  private readonly isLive: (id: number, due: number) => boolean
  private compactAt = 1024

  constructor(isLive: (id: number, due: number) => boolean) {
    this.isLive = isLive
  }

  push(id: number, due: number): void {
    if (this.ids.length >= this.compactAt) this.compact()
    this.ids.push(id)
    this.dues.push(due)
    this.siftUp(this.ids.length - 1)
  }

  /** When the earliest live entry is due. */
  nextDue(): number | undefined {
    this.dropDead()
    return this.dues[0]
  }

  /** Removes and returns the earliest live entry that is due at `now`. */
  popDue(now: number): number | undefined {
    this.dropDead()
    const due = this.dues[0]
    if (due === undefined || due > now) return undefined
    const id = this.ids[0]
    this.removeTop()
    return id
  }

  /** Live entries due at `now`, at most `limit`, in no promised order; they stay in the heap. */
  peekDue(now: number, limit: number): number[] {
    const found: number[] = []
    const pending = [0]
    while (pending.length > 0 && found.length < limit) {
      const index = pending.pop() ?? 0
      const due = this.dues[index]
      const id = this.ids[index]
      if (due === undefined || id === undefined || due > now) continue
      if (this.isLive(id, due)) found.push(id)
      pending.push(2 * index + 2, 2 * index + 1)
    }
    return found
  }

  private dropDead(): void {
    for (;;) {
      const id = this.ids[0]
      const due = this.dues[0]
      if (id === undefined || due === undefined || this.isLive(id, due)) return
      this.removeTop()
    }
  }

  private compact(): void {
    const { ids, dues } = this
    this.ids = []
    this.dues = []
    this.compactAt = Number.MAX_SAFE_INTEGER
    for (const [index, id] of ids.entries()) {
      const due = dues[index] ?? 0
      if (this.isLive(id, due)) this.push(id, due)
    }
    this.compactAt = Math.max(1024, this.ids.length * 2)
  }

  private removeTop(): void {
    const id = this.ids.pop()
    const due = this.dues.pop()
    if (id === undefined || due === undefined || this.ids.length === 0) return
    this.ids[0] = id
    this.dues[0] = due
    this.siftDown()
  }

  private before(a: number, b: number): boolean {
    const dueA = this.dues[a] ?? 0
    const dueB = this.dues[b] ?? 0
    return dueA < dueB || (dueA === dueB && (this.ids[a] ?? 0) < (this.ids[b] ?? 0))
  }

  private siftUp(start: number): void {
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.before(index, parent)) return
      this.swap(index, parent)
      index = parent
    }
  }

  private siftDown(): void {
    let index = 0
    for (;;) {
      let least = index
      const left = 2 * index + 1
      if (left < this.ids.length && this.before(left, least)) least = left
      if (left + 1 < this.ids.length && this.before(left + 1, least)) least = left + 1
      if (least === index) return
      this.swap(index, least)
      index = least
    }
  }

  private swap(a: number, b: number): void {
    const id = this.ids[a] ?? 0
    const due = this.dues[a] ?? 0
    this.ids[a] = this.ids[b] ?? 0
    this.dues[a] = this.dues[b] ?? 0
    this.ids[b] = id
    this.dues[b] = due
  }
}
