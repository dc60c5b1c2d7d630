/**
 * Sums over the whole grid, written out eight bins at a time: they are most of what a prediction costs, and bin by bin they take twice as
 * long (V8 does not unroll loops; each turn checks bounds and for interrupts). Every bin's value is that of the plain loop, digit for digit. Each is
 * for arrays of one kind: one that meets several kinds is slower again.
 */
import { FINE_BINS } from './bins.ts'

/** into ← a × of + b × base. The arrays may be one another. */
export function blend(into: Float32Array, of: Float32Array, a: number, base: Float32Array, b: number): void {
  for (let bin = 0; bin < FINE_BINS; bin += 8) {
    into[bin] = (of[bin] ?? 0) * a + (base[bin] ?? 0) * b
    into[bin + 1] = (of[bin + 1] ?? 0) * a + (base[bin + 1] ?? 0) * b
    into[bin + 2] = (of[bin + 2] ?? 0) * a + (base[bin + 2] ?? 0) * b
    into[bin + 3] = (of[bin + 3] ?? 0) * a + (base[bin + 3] ?? 0) * b
    into[bin + 4] = (of[bin + 4] ?? 0) * a + (base[bin + 4] ?? 0) * b
    into[bin + 5] = (of[bin + 5] ?? 0) * a + (base[bin + 5] ?? 0) * b
    into[bin + 6] = (of[bin + 6] ?? 0) * a + (base[bin + 6] ?? 0) * b
    into[bin + 7] = (of[bin + 7] ?? 0) * a + (base[bin + 7] ?? 0) * b
  }
}

/** into ← a × of + b × into. */
export function shrink(into: Float64Array, of: Float32Array, a: number, b: number): void {
  for (let bin = 0; bin < FINE_BINS; bin += 8) {
    into[bin] = (of[bin] ?? 0) * a + (into[bin] ?? 0) * b
    into[bin + 1] = (of[bin + 1] ?? 0) * a + (into[bin + 1] ?? 0) * b
    into[bin + 2] = (of[bin + 2] ?? 0) * a + (into[bin + 2] ?? 0) * b
    into[bin + 3] = (of[bin + 3] ?? 0) * a + (into[bin + 3] ?? 0) * b
    into[bin + 4] = (of[bin + 4] ?? 0) * a + (into[bin + 4] ?? 0) * b
    into[bin + 5] = (of[bin + 5] ?? 0) * a + (into[bin + 5] ?? 0) * b
    into[bin + 6] = (of[bin + 6] ?? 0) * a + (into[bin + 6] ?? 0) * b
    into[bin + 7] = (of[bin + 7] ?? 0) * a + (into[bin + 7] ?? 0) * b
  }
}

/** into ← a × into + b × of, which is read from its `first` on. */
export function mixIn(into: Float64Array, a: number, of: Float64Array, first: number, b: number): void {
  for (let bin = 0; bin < FINE_BINS; bin += 8) {
    into[bin] = a * (into[bin] ?? 0) + b * (of[first + bin] ?? 0)
    into[bin + 1] = a * (into[bin + 1] ?? 0) + b * (of[first + bin + 1] ?? 0)
    into[bin + 2] = a * (into[bin + 2] ?? 0) + b * (of[first + bin + 2] ?? 0)
    into[bin + 3] = a * (into[bin + 3] ?? 0) + b * (of[first + bin + 3] ?? 0)
    into[bin + 4] = a * (into[bin + 4] ?? 0) + b * (of[first + bin + 4] ?? 0)
    into[bin + 5] = a * (into[bin + 5] ?? 0) + b * (of[first + bin + 5] ?? 0)
    into[bin + 6] = a * (into[bin + 6] ?? 0) + b * (of[first + bin + 6] ?? 0)
    into[bin + 7] = a * (into[bin + 7] ?? 0) + b * (of[first + bin + 7] ?? 0)
  }
}

/** into ← a × of. */
export function scale(into: Float64Array, of: Float64Array, a: number): void {
  for (let bin = 0; bin < FINE_BINS; bin += 8) {
    into[bin] = (of[bin] ?? 0) * a
    into[bin + 1] = (of[bin + 1] ?? 0) * a
    into[bin + 2] = (of[bin + 2] ?? 0) * a
    into[bin + 3] = (of[bin + 3] ?? 0) * a
    into[bin + 4] = (of[bin + 4] ?? 0) * a
    into[bin + 5] = (of[bin + 5] ?? 0) * a
    into[bin + 6] = (of[bin + 6] ?? 0) * a
    into[bin + 7] = (of[bin + 7] ?? 0) * a
  }
}

/** The same in the precision of experts. */
export function scaleExpert(into: Float32Array, of: Float32Array, a: number): void {
  for (let bin = 0; bin < FINE_BINS; bin += 8) {
    into[bin] = (of[bin] ?? 0) * a
    into[bin + 1] = (of[bin + 1] ?? 0) * a
    into[bin + 2] = (of[bin + 2] ?? 0) * a
    into[bin + 3] = (of[bin + 3] ?? 0) * a
    into[bin + 4] = (of[bin + 4] ?? 0) * a
    into[bin + 5] = (of[bin + 5] ?? 0) * a
    into[bin + 6] = (of[bin + 6] ?? 0) * a
    into[bin + 7] = (of[bin + 7] ?? 0) * a
  }
}

/** into ← of ÷ by. */
export function divide(into: Float64Array, of: Float64Array, by: number): void {
  for (let bin = 0; bin < FINE_BINS; bin += 8) {
    into[bin] = (of[bin] ?? 0) / by
    into[bin + 1] = (of[bin + 1] ?? 0) / by
    into[bin + 2] = (of[bin + 2] ?? 0) / by
    into[bin + 3] = (of[bin + 3] ?? 0) / by
    into[bin + 4] = (of[bin + 4] ?? 0) / by
    into[bin + 5] = (of[bin + 5] ?? 0) / by
    into[bin + 6] = (of[bin + 6] ?? 0) / by
    into[bin + 7] = (of[bin + 7] ?? 0) / by
  }
}
