/**
 * The experts whose mixture is the learned prediction: distributions of the run time of a class, each from other evidence or with another
 * memory. None is right everywhere: one user's jobs repeat, another's depend on the limit alone.
 *
 * 1. Experts know completions only (`expert-cell.ts` keeps what they need); each falls back to a broader one where it knows nothing.
 * 2. Masses of all experts stand one after another in one `Float32Array`, `EXPERTS.length × FINE_BINS`.
 * 3. Of any mixture `LEAST` is kept for what nobody expects, near the median rather than far from it, so no outcome is impossible; what is
 *    beyond the limit is cut (`finish`).
 * 4. All times are those of a typical node.
 */
import { binOf, binOfLn, cutAt, FINE_BINS, lnOfBins, RELATIVE_ZERO_LN } from './bins.ts'
import type { CellStatistics } from './cell-statistics.ts'
import type { TaskClass } from './class-tree.ts'
import type { DecayedHistogram } from './histogram.ts'
import { mixIn, scaleExpert } from './sums.ts'

/**
 * Names, and the weights before anything is learned: rounded means of what a trained mixture gave them on four logs of the Parallel
 * Workloads Archive.
 */
const PRIOR = [
  ['chain', 0.14],
  ['limit', 0.05],
  ['tenant', 0.1],
  ['name', 0.08],
  ['class', 0.04],
  ['class-fast', 0.05],
  ['class-slow', 0.18],
  ['tenant-fast', 0.03],
  ['tenant-resources-fast', 0.05],
  ['tenant-resources', 0.08],
  ['limit-share', 0.06],
  ['limit-share-all', 0.1],
  ['all', 0.08],
  ['name-fast', 0.04],
  ['last', 0.03],
  ['tenant-limit', 0.03],
  ['input', 0.03]
] as const

export type ExpertName = (typeof PRIOR)[number][0]
export const EXPERTS: readonly ExpertName[] = PRIOR.map(([name]) => name)
/** The class statistics', that others are compared with. */
export const CHAIN = EXPERTS.indexOf('chain')
/** Logits of the mixture before anything is learned. */
export const PRIOR_LOGITS: readonly number[] = PRIOR.map(([, weight]) => Math.log(weight))

/** Of each mixture, what is kept for what nobody expects. */
export const LEAST = 0.005
/**
 * What nobody expects is spread around the median, by distance in bins: a tail like t^−1.5, whose mean is a few medians. A spread over absolute
 * times would promise hours to what takes milliseconds. Beside it, its sums.
 */
const TAIL = 1.5
const AROUND = Float64Array.from({ length: 2 * FINE_BINS - 1 }, (_, at) =>
  Math.exp(-TAIL * lnOfBins(Math.abs(at - (FINE_BINS - 1))))
)
const AROUND_SUMS = AROUND.subarray(FINE_BINS - 1).map((_, bins, above) =>
  above.subarray(0, bins + 1).reduce((sum, mass) => sum + mass, 0)
)
/** Completions of anything that the first guess counts for. */
const GUESS_WEIGHT = 0.2
/** A run may exceed its limit by this much before it is killed. */
const GRACE = 1.02
/** How much of the expert `last` stands on the last value's bin, and beside it. */
const LAST_SHARE = 0.6
const BESIDE_SHARE = 0.15

type ClassOfCells = TaskClass<CellStatistics>

/** Works out all experts of a class, into one array that it owns. */
export class ExpertMasses {
  readonly all = new Float32Array(EXPERTS.length * FINE_BINS)
  readonly #of = new Map(
    EXPERTS.map((name, index) => [name, this.all.subarray(index * FINE_BINS, (index + 1) * FINE_BINS)])
  )
  readonly #guess: Float32Array
  #lastBin = FINE_BINS - 1

  /** `guess` is what is expected before anything is known. */
  constructor(guess: Float64Array) {
    this.#guess = Float32Array.from(guess)
  }

  /** The last bin that the limit of the class leaves open. */
  get lastBin(): number {
    return this.#lastBin
  }

  of(expert: ExpertName): Float32Array {
    return this.#of.get(expert) ?? this.#guess
  }

  /**
   * Makes a weighted sum of experts a distribution: it sums to 1, some of it is spread around its median, and nothing is beyond the
   * limit. It is enough to do this once, to the sum.
   */
  finish(masses: Float64Array): void {
    let sum = 0
    for (let bin = 0; bin < FINE_BINS; bin++) sum += masses[bin] ?? 0
    let middle = 0
    for (let below = masses[0] ?? 0; below < sum / 2 && middle < FINE_BINS - 1;)
      below += masses[++middle] ?? 0
    const share = (1 - LEAST) / sum
    const rest = LEAST / ((AROUND_SUMS[middle] ?? 0) + (AROUND_SUMS[FINE_BINS - 1 - middle] ?? 0) - 1)
    mixIn(masses, share, AROUND, FINE_BINS - 1 - middle, rest)
    cutAt(masses, this.#lastBin)
  }

  /** Fills in all experts. `chain` are the masses of the class statistics. */
  fill(taskClass: ClassOfCells, chain: Float64Array): void {
    const { cells, side } = taskClass
    const all = cells[0]?.value
    const limit = cells[1]?.value
    const tenant = cells[2]?.value
    const name = cells[3]?.value
    const nameLimit = cells[4]?.value
    const own = cells[5]?.value
    const resources = side[0]?.value
    const tenantLimit = side[1]?.value
    this.of('chain').set(chain)
    const wide = this.#blend('all', all?.experts?.slow, GUESS_WEIGHT, this.#guess)
    this.#blend('limit', limit?.durations, 1, wide)
    const ofTenant = this.#blend('tenant', tenant?.experts?.slow, 1, wide)
    const ofName = this.#blend('name', name?.experts?.slow, 1, ofTenant)
    const ofNameLimit = this.#blend('class', nameLimit?.durations, 0.5, ofName)
    this.#blend('class-slow', own?.experts?.slow, 0.5, ofNameLimit)
    const ofClass = this.#blend('class', own?.durations, 0.3, ofNameLimit)
    const fast = this.#blend('class-fast', own?.experts?.fast, 0.2, ofClass)
    const tenantFast = this.#blend('tenant-fast', tenant?.experts?.fast, 0.2, ofTenant)
    this.#blend('tenant-resources-fast', resources?.experts?.fast, 0.2, tenantFast)
    this.#blend('tenant-resources', resources?.experts?.slow, 0.5, ofTenant)
    this.#blend('tenant-limit', tenantLimit?.durations, 0.5, ofTenant)
    this.#blend('name-fast', name?.experts?.fast, 0.2, ofName)
    const limitLn = taskClass.limitMs > 0 ? Math.log(taskClass.limitMs) : undefined
    this.#share('limit-share', tenant?.experts?.limitShare, limitLn, ofTenant)
    this.#share('limit-share-all', all?.experts?.limitShare, limitLn, wide)
    const input = name?.experts?.input
    this.#share('input', input?.residuals, input?.expectedLn(taskClass.inputLn), ofName)
    this.#last(own?.experts?.lastLn ?? tenant?.experts?.lastLn, fast)
    this.#lastBin = lastBinOf(taskClass.limitMs)
  }

  #blend(
    expert: ExpertName,
    histogram: DecayedHistogram | undefined,
    prior: number,
    base: Float32Array
  ): Float32Array {
    const masses = this.of(expert)
    if (histogram !== undefined) histogram.blend(masses, base, prior)
    else if (masses !== base) masses.set(base)
    return masses
  }

  /** What is known relative to a value (the limit, what the input suggests), moved to the value. */
  #share(
    expert: ExpertName,
    relative: DecayedHistogram | undefined,
    aroundLn: number | undefined,
    base: Float32Array
  ): void {
    const masses = this.of(expert)
    if (relative === undefined || aroundLn === undefined || relative.count === 0) {
      masses.set(base)
      return
    }
    const prior = 0.5 / (relative.weight + 0.5)
    scaleExpert(masses, base, prior)
    relative.addShifted(masses, aroundLn - RELATIVE_ZERO_LN, 1 - prior)
  }

  #last(lastLn: number | undefined, base: Float32Array): void {
    const masses = this.of('last')
    if (lastLn === undefined) {
      masses.set(base)
      return
    }
    const rest = 1 - LAST_SHARE - 2 * BESIDE_SHARE
    scaleExpert(masses, base, rest)
    const bin = binOfLn(lastLn)
    const below = Math.max(0, bin - 1)
    const above = Math.min(FINE_BINS - 1, bin + 1)
    masses[bin] = (masses[bin] ?? 0) + LAST_SHARE
    masses[below] = (masses[below] ?? 0) + BESIDE_SHARE
    masses[above] = (masses[above] ?? 0) + BESIDE_SHARE
  }
}

function lastBinOf(limitMs: number): number {
  return limitMs > 0 ? binOf(limitMs * GRACE) : FINE_BINS - 1
}
