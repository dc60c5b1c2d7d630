/** What many futures say of one point of time. */

/** Points of state time in milliseconds. */
export interface Moment {
  readonly p50At: number
  readonly p90At: number
  /** When it comes if all attempts take what their timeouts allow, or p90At where that is later. Default: some have none. */
  readonly latestAt?: number
}

/** Sorts `values`, one a future, in place. Undefined when some future never came to an end. */
export function momentOf(values: Float64Array): Moment | undefined {
  values.sort()
  const at = (q: number): number => values[Math.max(0, Math.ceil(q * (values.length + 1)) - 1)] ?? Infinity
  const moment = { p50At: at(0.5), p90At: at(0.9) }
  return moment.p90At < Infinity ? moment : undefined
}
