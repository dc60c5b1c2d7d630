/** A distribution given by some of its quantiles, linear in between. */
export interface QuantileTable {
  /** Rising, from 0 to 1. */
  readonly levels: readonly number[]
  readonly values: readonly number[]
}

/** The value at level `q` in [0, 1]. */
export function quantileAt(table: QuantileTable, q: number): number {
  const { levels, values } = table
  let above = levels.findIndex((level) => level >= q)
  if (above < 0) above = levels.length - 1
  const high = values[above] ?? 1
  if (above <= 0) return high
  const low = values[above - 1] ?? high
  const from = levels[above - 1] ?? 0
  const span = (levels[above] ?? 1) - from
  return span === 0 ? high : low + ((high - low) * (q - from)) / span
}
