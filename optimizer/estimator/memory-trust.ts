/**
 * Whether to believe a model's corrections of peak memory. Models are judged by run times alone, so a model that is good at these may be bad at
 * memory: its corrections have to earn their weight.
 *
 * 1. Hedge over the quantile of the class statistics and the same as corrected, by the pinball loss of ln peak memory at the level that
 *    tasks are packed by. What is predicted is their weighted mean, in ln bytes.
 * 2. Each tenant's outcomes speak for its own classes alone, and each model begins anew: what an earlier one earned says nothing of it.
 * 3. A correction is bounded, whatever the model says: memory that is out by more is for the statistics to find out, within a few runs.
 */
import { Hedge } from './hedge.ts'
import { MEMORY_QUANTILES } from './rows.ts'

/** The level by which the weight is earned. */
const LEVEL = 0.95
/** The largest correction either way, of ln bytes. */
export const LARGEST_CORRECTION = Math.log(4)

const CORRECTED = 1

/**
 * One in fifty at first: what has proved nothing moves memory by 3 % at most. A correction by ln 2.5 of statistics that are as much too
 * large saves (1 − 0.95) × ln 2.5 = 0.05 an outcome and has half the weight within 50, of statistics that are as much too small within three. A
 * loss is bounded by the correction, and never clipped.
 */
const OPTIONS = {
  priors: [0.98, 0.02],
  rate: 2,
  fade: 0.995,
  fadeAll: 0.999,
  priorOutcomes: 0,
  clip: 2
}

/** What one model has earned. */
export class MemoryTrust {
  readonly #hedge = new Hedge<string>(OPTIONS)
  readonly #weights = new Float64Array(OPTIONS.priors.length)
  readonly #scores = new Float64Array(OPTIONS.priors.length)

  /** What to add to ln of the quantile `q` of memory, given the model's corrections at `MEMORY_QUANTILES`. */
  correctionLn(tenant: string, corrections: Float32Array, q: number): number {
    this.#hedge.weigh(tenant, this.#weights, all)
    return (this.#weights[CORRECTED] ?? 0) * between(corrections, q)
  }

  /** An attempt peaked at `bytes`, > 0, when `expected` had been the statistics' quantiles at `MEMORY_QUANTILES`; empty: none. */
  observe(tenant: string, expected: readonly number[], corrections: Float32Array, bytes: number): void {
    const above = Math.log(bytes / (expected[MEMORY_QUANTILES.indexOf(LEVEL)] ?? 0))
    if (!Number.isFinite(above)) return
    this.#scores[0] = -pinball(above)
    this.#scores[CORRECTED] = -pinball(above - between(corrections, LEVEL))
    this.#hedge.observe(tenant, this.#scores)
  }
}

function pinball(above: number): number {
  return Math.max(LEVEL * above, (LEVEL - 1) * above)
}

/** The correction at `q`, read between those at `MEMORY_QUANTILES`; the rising quantiles stay in order. */
function between(corrections: Float32Array, q: number): number {
  const [at50, at95, at99] = MEMORY_QUANTILES
  const low = bounded(corrections[0])
  if (q <= at50) return low
  const mid = Math.max(low, bounded(corrections[1]))
  // Rounding must not carry it beyond the next one.
  if (q <= at95) return Math.min(mid, low + ((q - at50) / (at95 - at50)) * (mid - low))
  const high = Math.max(mid, bounded(corrections[2]))
  return Math.min(high, mid + Math.min(1, (q - at95) / (at99 - at95)) * (high - mid))
}

/** What is not a number corrects nothing. */
function bounded(correction = 0): number {
  if (Number.isNaN(correction)) return 0
  return Math.max(-LARGEST_CORRECTION, Math.min(LARGEST_CORRECTION, correction))
}

function all(): boolean {
  return true
}
