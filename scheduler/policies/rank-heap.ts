/** A binary heap of task ids by (rank falling, arrival rising) whose removed entries are dropped when they surface. */
interface Entry {
  readonly id: number
  readonly rank: number
  readonly arrival: number
}

export class RankHeap {
  private readonly entries: Entry[] = []
  private readonly isLive: (id: number, arrival: number) => boolean

  constructor(isLive: (id: number, arrival: number) => boolean) {
    this.isLive = isLive
  }

  push(id: number, rank: number, arrival: number): void {
    const { entries } = this
    const entry = { id, rank, arrival }
    let index = entries.length
    entries.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = entries[parent]
      if (above === undefined || !before(entry, above)) break
      entries[index] = above
      index = parent
    }
    entries[index] = entry
  }

  /** Drops dead entries from the top. Returns whether a live one is left. */
  prune(): boolean {
    for (;;) {
      const top = this.entries[0]
      if (top === undefined) return false
      if (this.isLive(top.id, top.arrival)) return true
      this.pop()
    }
  }

  /** The best entry's id; 0 when there is none. */
  top(): number {
    return this.entries[0]?.id ?? 0
  }

  /** Whether this heap's best entry comes before the other's. */
  isBefore(other: RankHeap): boolean {
    const mine = this.entries[0]
    const theirs = other.entries[0]
    return mine !== undefined && (theirs === undefined || before(mine, theirs))
  }

  private pop(): void {
    const { entries } = this
    const last = entries.pop()
    if (last === undefined || entries.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      const left = entries[child]
      if (left === undefined) break
      const right = entries[child + 1]
      let least = left
      if (right !== undefined && before(right, left)) {
        least = right
        child++
      }
      if (!before(least, last)) break
      entries[index] = least
      index = child
    }
    entries[index] = last
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.rank > b.rank || (a.rank === b.rank && a.arrival < b.arrival)
}
