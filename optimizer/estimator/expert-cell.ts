/**
 * What the experts remember at a level beside its run times: with a long and a short memory, relative to limits, and against the size of
 * the input.
 */
import { RELATIVE_ZERO_LN } from './bins.ts'
import { DecayedHistogram } from './histogram.ts'

const SLOW = 0.98
/** For all tenants together: thousands of completions. */
const SLOWEST = 0.999
const FAST = 0.5
/** A class's bursts are of hundreds of runs that are alike. */
const LONG = 0.999
const SHARE_DECAY = 0.95
/** Observations that a slope of 0 counts for, times the usual variance of ln(input) in an octave class. */
const SLOPE_PRIOR = 4
const INPUT_DECAY = 0.98
const RECORD_FADE = 0.95
/** Below this likelihood an expert was simply wrong. */
const LEAST_LIKELIHOOD = 1e-4

export class ExpertCell {
  readonly slow = new DecayedHistogram()
  readonly fast = new DecayedHistogram()
  /** Of a class itself: what it has shown over many bursts. */
  readonly long: DecayedHistogram | undefined
  readonly #slowDecay: number
  #limitShare: DecayedHistogram | undefined
  #input: InputRegression | undefined
  lastLn: number | undefined
  /** Of a tenant and of a class: mean log likelihood of each expert lately, minus the chain's. */
  records: Float32Array | undefined
  #recorded = 0

  /** `level`: whether all tasks are meant, or a class itself. */
  constructor(level: 'all' | 'between' | 'class') {
    this.#slowDecay = level === 'all' ? SLOWEST : SLOW
    this.long = level === 'class' ? new DecayedHistogram() : undefined
  }

  /** Run times as shares of their limits, around `RELATIVE_ZERO_LN`. */
  get limitShare(): DecayedHistogram | undefined {
    return this.#limitShare
  }

  get input(): InputRegression | undefined {
    return this.#input
  }

  /** Learns how likely each expert held an outcome; `chainAt` is the expert that others are compared with. */
  record(likelihood: Float32Array, chainAt: number): void {
    this.records ??= new Float32Array(likelihood.length)
    this.#recorded = this.#recorded * RECORD_FADE + 1
    const chain = Math.log((likelihood[chainAt] ?? 0) + LEAST_LIKELIHOOD)
    for (let expert = 0; expert < likelihood.length; expert++) {
      const score = Math.log((likelihood[expert] ?? 0) + LEAST_LIKELIHOOD) - chain
      const before = this.records[expert] ?? 0
      this.records[expert] = before + (score - before) / (this.#recorded + 1)
    }
  }

  /** Learns a run time of ln `ln`; `limitMs` 0 and `inputBytes` 0 for none. */
  add(ln: number, limitMs: number, inputBytes: number): void {
    const known = Math.max(0, ln)
    this.slow.addLn(known, this.#slowDecay)
    this.fast.addLn(known, FAST)
    this.long?.addLn(known, LONG)
    this.lastLn = ln
    if (limitMs > 0) {
      this.#limitShare ??= new DecayedHistogram()
      this.#limitShare.addLn(Math.max(0, ln - Math.log(limitMs) + RELATIVE_ZERO_LN), SHARE_DECAY)
    }
    if (inputBytes > 0) {
      this.#input ??= new InputRegression()
      this.#input.add(ln, Math.log(inputBytes))
    }
  }
}

/** ln t = a + b ln(input), by decayed least squares with b shrunk to 0, and how far runs are from it. */
export class InputRegression {
  readonly residuals = new DecayedHistogram()
  #weight = 0
  #x = 0
  #y = 0
  #xx = 0
  #xy = 0

  /** The line at this input; undefined before two runs, or without an input. */
  expectedLn(inputLn: number | undefined): number | undefined {
    if (inputLn === undefined || this.#weight < 1.5) return undefined
    const meanX = this.#x / this.#weight
    const slope = (this.#xy - this.#x * (this.#y / this.#weight)) / (this.#xx - this.#x * meanX + SLOPE_PRIOR)
    return this.#y / this.#weight + slope * (inputLn - meanX)
  }

  add(ln: number, inputLn: number): void {
    const expected = this.expectedLn(inputLn)
    if (expected !== undefined)
      this.residuals.addLn(Math.max(0, ln - expected + RELATIVE_ZERO_LN), INPUT_DECAY)
    this.#weight = this.#weight * INPUT_DECAY + 1
    this.#x = this.#x * INPUT_DECAY + inputLn
    this.#y = this.#y * INPUT_DECAY + ln
    this.#xx = this.#xx * INPUT_DECAY + inputLn * inputLn
    this.#xy = this.#xy * INPUT_DECAY + inputLn * ln
  }
}
