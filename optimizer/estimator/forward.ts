/**
 * The network's forward pass in plain arrays: what every node predicts with. It needs no TensorFlow, allocates nothing per row, and equals the
 * pass of `network.ts` within rounding.
 */
import { OCTAVES } from './bins.ts'
import { FAILURE_AT, HAZARDS_AT, HIDDEN, LAYERS, MEMORY_HEAD_AT } from './model.ts'
import {
  EXPERT_COUNT,
  FEATURE_COUNT,
  GATE_COUNT,
  HAZARD_OFFSETS_AT,
  MEMORY_QUANTILES,
  OFFSETS_AT
} from './rows.ts'

/** What the network says of a row. */
export interface NetworkOutput {
  /** Weights of the experts and, last, of `octaves`; they sum to 1. */
  readonly gates: Float32Array
  /** The network's own distribution over octaves of milliseconds; sums to 1. */
  readonly octaves: Float32Array
  /** Added to the logit of the expected failure probability. */
  readonly failureLogit: number
  /** Added to ln of the expected quantile of peak memory, for each of `MEMORY_QUANTILES`. */
  readonly memoryLn: Float32Array
}

const [FIRST, SECOND, HEAD] = LAYERS

/** Evaluates one model. */
export class ForwardPass {
  readonly #weights: Float32Array
  readonly #first = new Float32Array(HIDDEN)
  readonly #second = new Float32Array(HIDDEN)
  readonly #head = new Float32Array(HEAD[1])

  /** `weights` has `WEIGHT_COUNT` numbers, all finite. */
  constructor(weights: Float32Array) {
    this.#weights = weights
  }

  /** Evaluates `INPUT_COUNT` numbers, features and offsets (more is ignored). The result is fresh. */
  run(input: Float32Array): NetworkOutput {
    const firstEnd = (FIRST[0] + 1) * FIRST[1]
    const secondEnd = firstEnd + (SECOND[0] + 1) * SECOND[1]
    this.#layer(input, FEATURE_COUNT, 0, this.#first, true)
    this.#layer(this.#first, HIDDEN, firstEnd, this.#second, true)
    this.#layer(this.#second, HIDDEN, secondEnd, this.#head, false)
    const head = this.#head
    for (let expert = 0; expert < EXPERT_COUNT; expert++) {
      head[expert] = (head[expert] ?? 0) + (input[OFFSETS_AT + expert] ?? 0)
    }
    for (let octave = 0; octave < OCTAVES; octave++) {
      head[HAZARDS_AT + octave] = (head[HAZARDS_AT + octave] ?? 0) + (input[HAZARD_OFFSETS_AT + octave] ?? 0)
    }
    return {
      gates: softmax(head, GATE_COUNT),
      octaves: massesOfHazards(head, HAZARDS_AT),
      failureLogit: head[FAILURE_AT] ?? 0,
      memoryLn: head.slice(MEMORY_HEAD_AT, MEMORY_HEAD_AT + MEMORY_QUANTILES.length)
    }
  }

  #layer(input: Float32Array, inputs: number, from: number, output: Float32Array, rectify: boolean): void {
    const weights = this.#weights
    const outputs = output.length
    const biases = from + inputs * outputs
    for (let unit = 0; unit < outputs; unit++) output[unit] = weights[biases + unit] ?? 0
    for (let index = 0; index < inputs; index++) {
      const value = input[index] ?? 0
      if (value === 0) continue
      const row = from + index * outputs
      for (let unit = 0; unit < outputs; unit++) {
        output[unit] = (output[unit] ?? 0) + value * (weights[row + unit] ?? 0)
      }
    }
    if (!rectify) return
    for (let unit = 0; unit < outputs; unit++) if ((output[unit] ?? 0) < 0) output[unit] = 0
  }
}

function softmax(logits: Float32Array, count: number): Float32Array {
  const result = logits.slice(0, count)
  const largest = result.reduce((most, logit) => Math.max(most, logit), -Infinity)
  let sum = 0
  for (let index = 0; index < count; index++) {
    const value = Math.exp((result[index] ?? 0) - largest)
    result[index] = value
    sum += value
  }
  for (let index = 0; index < count; index++) result[index] = (result[index] ?? 0) / sum
  return result
}

/** mass k = hazard k × Π (1 − hazards before it); the last octave takes what is left. */
function massesOfHazards(head: Float32Array, from: number): Float32Array {
  const masses = new Float32Array(OCTAVES)
  let left = 1
  for (let octave = 0; octave < OCTAVES - 1; octave++) {
    const hazard = 1 / (1 + Math.exp(-(head[from + octave] ?? 0)))
    masses[octave] = left * hazard
    left *= 1 - hazard
  }
  masses[OCTAVES - 1] = left
  return masses
}
