/** Finds who waits for itself. */

/**
 * The indexes of a cycle, the first of them again at its end; undefined when there is none. `parentsOf` holds, for each index,
 * those that it waits for, all of them in range.
 */
export function findCycle(parentsOf: readonly (readonly number[])[]): number[] | undefined {
  const waiting = parentsOf.map((parents) => parents.length)
  const childrenOf: number[][] = parentsOf.map(() => [])
  parentsOf.forEach((parents, index) => {
    for (const parent of parents) childrenOf[parent]?.push(index)
  })
  // Kahn's algorithm: the array grows while it is walked.
  const free = [...waiting.keys()].filter((index) => waiting[index] === 0)
  for (const index of free) {
    for (const child of childrenOf[index] ?? []) {
      waiting[child] = (waiting[child] ?? 0) - 1
      if (waiting[child] === 0) free.push(child)
    }
  }
  const stuck = waiting.findIndex((left) => left > 0)
  if (stuck < 0) return undefined
  return cycleFrom(stuck, (index) => parentsOf[index]?.find((parent) => (waiting[parent] ?? 0) > 0))
}

/** Follows `next` from where it leads round in the end: that round, with its first at its end again. */
export function cycleFrom(start: number, next: (at: number) => number | undefined): number[] {
  const path: number[] = []
  const places = new Map<number, number>()
  let at: number | undefined = start
  while (at !== undefined && !places.has(at)) {
    places.set(at, path.length)
    path.push(at)
    at = next(at)
  }
  return at === undefined ? [] : [...path.slice(places.get(at)), at]
}
