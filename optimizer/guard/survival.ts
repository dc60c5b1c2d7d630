/**
 * How long things last, from those that are over and those that go on: the product-limit estimator (Kaplan & Meier 1958).
 *
 * What goes on has lasted so long and will last longer, so its share is redistributed to all that lasted longer, which is
 * the same estimator (Efron 1967, "redistribute to the right"). Beyond the longest of all nothing was seen; there the share
 * that lasts longer falls as 1 ÷ time, as it does for processes (Harchol-Balter & Downey 1997), but ends at `TAIL` times the
 * longest: without an end the mean would be infinite, and one draw might outweigh all others.
 */
const TAIL = 16

export class Survival {
  /** Rising times at which something ended, and the share that lasts longer than each. */
  readonly #times: number[] = []
  readonly #shares: number[] = []
  readonly #longest: number

  /** `over`: how long those lasted that are over; `open`: how long those have that go on. */
  constructor(over: readonly number[], open: readonly number[]) {
    const seen = [
      ...over.map((time) => ({ time, ends: true })),
      ...open.map((time) => ({ time, ends: false }))
    ].sort((a, b) => a.time - b.time || Number(b.ends) - Number(a.ends))
    this.#longest = seen.at(-1)?.time ?? 0
    let share = 1
    seen.forEach(({ time, ends }, index) => {
      if (!ends) return
      share *= 1 - 1 / (seen.length - index)
      this.#times.push(time)
      this.#shares.push(share)
    })
  }

  /** How long it lasts if it has lasted `age` and that share of its like lasts longer; `share` in [0, 1). Longer than `age`, unless that is 0. */
  lasts(age: number, share: number): number {
    const alive = age <= 0 ? 1 : this.#beyond(age)
    const wanted = alive * share
    const last = this.#shares.at(-1) ?? 1
    if (alive > 0 && last <= wanted) return this.#times[this.#firstAtMost(wanted)] ?? this.#longest
    const left = alive > 0 ? wanted / last : share
    return Math.max(age, this.#longest) / (1 / TAIL + (1 - 1 / TAIL) * left)
  }

  /** The share that lasts longer than this. */
  #beyond(time: number): number {
    const after = firstWhere(this.#times, (other) => other > time)
    return after === 0 ? 1 : (this.#shares[after - 1] ?? 1)
  }

  #firstAtMost(share: number): number {
    return firstWhere(this.#shares, (other) => other <= share)
  }
}

/** The first index from which on it holds; the length when it never does. */
function firstWhere(values: readonly number[], holds: (value: number) => boolean): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(values[middle] ?? 0)) high = middle
    else low = middle + 1
  }
  return low
}
