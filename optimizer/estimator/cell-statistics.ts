/**
 * What one level of the hierarchy remembers: run times, peak memory, and how often attempts fail.
 *
 * Memory uses the same grid as time, counted in KiB: quarter octaves from 1 KiB to 4 TiB. It is only allocated once a peak is known.
 */
import { FINE_BINS, quantileLn } from './bins.ts'
import type { ExpertCell } from './expert-cell.ts'
import { FailureTally } from './failures.ts'
import { DecayedHistogram } from './histogram.ts'

const KIB = 1024
export class CellStatistics {
  readonly durations = new DecayedHistogram()
  #memory: DecayedHistogram | undefined
  readonly failures = new FailureTally()
  /** What the experts of a mixture remember; absent where only statistics are kept. */
  experts: ExpertCell | undefined
  /** When the last completion came, in state time. */
  lastAt: number | undefined
  /** Grows with every change. */
  version = 0

  /** A run took ln t, ≥ 0. */
  addDurationLn(ln: number, decay: number): void {
    this.durations.addLn(ln, decay)
    this.version++
  }

  addCensored(spread: Float64Array, meanLn: number, decay: number): void {
    this.durations.addSpread(spread, meanLn, decay)
    this.version++
  }

  addMemory(bytes: number, decay: number): void {
    this.#memory ??= new DecayedHistogram()
    this.#memory.add(bytes / KIB, decay)
  }

  get knowsMemory(): boolean {
    return this.#memory !== undefined
  }

  /** One level of shrinkage of memory masses; true when this level knew anything. */
  shrinkMemory(masses: Float64Array, prior: number): boolean {
    this.#memory?.shrink(masses, prior)
    return this.#memory !== undefined
  }
}

/** The peak memory that is not exceeded with probability `q`, in bytes, of masses on the grid of KiB. */
export function memoryQuantileBytes(masses: Float64Array, q: number): number {
  return Math.exp(quantileLn(masses, q)) * KIB
}

/** Before any peak is known: nothing, spread evenly. */
export function evenMasses(masses: Float64Array): void {
  masses.fill(1 / FINE_BINS)
}
