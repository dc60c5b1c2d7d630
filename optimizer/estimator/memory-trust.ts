/**
 * Whether to believe a model's corrections of peak memory. Models are judged by run times alone, so a model that is good at these may be bad at
 * memory: its corrections have to earn their weight.
 *
 * 1. They are scored by the pinball loss of ln peak memory at the level that tasks are packed by, and weighed by `correction-trust.ts`. What is
 *    predicted is the weighted mean of both, in ln bytes.
 * 2. Each model begins anew: what an earlier one earned says nothing of it.
 * 3. A correction is bounded, whatever the model says: memory that is out by more is for the statistics to find out, within a few runs.
 */
import { bounded, CorrectionTrust } from './correction-trust.ts'
import { MEMORY_QUANTILES } from './rows.ts'

/** The level by which the weight is earned. */
const LEVEL = 0.95
/** The largest correction either way, of ln bytes. */
export const LARGEST_CORRECTION = Math.log(4)

/**
 * What has proved nothing moves memory by 3 % at most. A correction by ln 2.5 of statistics that are as much too large saves
 * (1 − 0.95) × ln 2.5 = 0.05 an outcome and has half the weight within 50, of statistics that are as much too small within three. A loss is
 * bounded by the correction, and never clipped.
 */
const RATE = 2
const CLIP = 2

/** What one model has earned. */
export class MemoryTrust {
  readonly #trust = new CorrectionTrust(RATE, CLIP)

  /** What to add to ln of the quantile `q` of memory, given the model's corrections at `MEMORY_QUANTILES`. */
  correctionLn(tenant: string, corrections: Float32Array, q: number): number {
    return this.#trust.weightOf(tenant) * between(corrections, q)
  }

  /** An attempt peaked at `bytes`, > 0, when `expected` had been the statistics' quantiles at `MEMORY_QUANTILES`; empty: none. */
  observe(tenant: string, expected: readonly number[], corrections: Float32Array, bytes: number): void {
    const above = Math.log(bytes / (expected[MEMORY_QUANTILES.indexOf(LEVEL)] ?? 0))
    this.#trust.observe(tenant, -pinball(above), -pinball(above - between(corrections, LEVEL)))
  }
}

function pinball(above: number): number {
  return Math.max(LEVEL * above, (LEVEL - 1) * above)
}

/** The correction at `q`, read between those at `MEMORY_QUANTILES`; the rising quantiles stay in order. */
function between(corrections: Float32Array, q: number): number {
  const [at50, at95, at99] = MEMORY_QUANTILES
  const low = bounded(corrections[0] ?? 0, LARGEST_CORRECTION)
  if (q <= at50) return low
  const mid = Math.max(low, bounded(corrections[1] ?? 0, LARGEST_CORRECTION))
  // Rounding must not carry it beyond the next one.
  if (q <= at95) return Math.min(mid, low + ((q - at50) / (at95 - at50)) * (mid - low))
  const high = Math.max(mid, bounded(corrections[2] ?? 0, LARGEST_CORRECTION))
  return Math.min(high, mid + Math.min(1, (q - at95) / (at99 - at95)) * (high - mid))
}
