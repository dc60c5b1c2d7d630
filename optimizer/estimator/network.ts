/**
 * The network under TensorFlow.js: training steps and batched evaluation over the weights that `model.ts` lays out.
 *
 * Owns the loss. No backend is chosen here; the caller has set one. `wasm` has no kernel for the gradient of a lookup, so nothing
 * is looked up: masks and matrix products do it.
 *
 * Loss of a row: −ln(Σ gate × likelihood), the exact likelihood of the mixture, of survival where the row is censored; plus the cross entropy
 * of failure and the quantile Huber loss of ln peak memory where they are known, which weigh little.
 */
import * as tf from '@tensorflow/tfjs-core'
// For its side effect: it registers the gradients of all operations, which the core alone does not.
import '@tensorflow/tfjs-layers'
import { lnOfBins, OCTAVES } from './bins.ts'
import { FAILURE_AT, HAZARDS_AT, LAYERS, MEMORY_HEAD_AT, WEIGHT_COUNT } from './model.ts'
import {
  EXPERT_COUNT,
  FAILED_AT,
  FAILED_UNKNOWN,
  FEATURE_COUNT,
  GATE_COUNT,
  HAZARD_OFFSETS_AT,
  LIKELIHOOD_AT,
  MEMORY_AT,
  MEMORY_QUANTILES,
  NO_MEMORY,
  octavesOf,
  OFFSETS_AT,
  ROW_LENGTH
} from './rows.ts'
import type { TrainingRow } from './rows.ts'

const FAILURE_WEIGHT = 0.2
const MEMORY_WEIGHT = 0.1
/**
 * In the optimizer's hands the memory head's weights are in units of this, a power of two: exact. Adam's steps are as long as the learning rate
 * whatever the gradient, and in units of 1 the 65 weights of a quantile together move it by 0.1 a step, about as much as peaks of a class
 * differ. It would pass the peaks, be thrown back by the side of the loss that is up to 99 times as steep, and spend most of its time far above.
 */
const MEMORY_UNIT = 1 / 16
/** Closer than this to ln of a peak the loss is quadratic: the width of a bin, within which the statistics know nothing. */
const MEMORY_CLOSE = lnOfBins(1)
const LEAST_LIKELIHOOD = 1e-9
/** A gradient that is longer than this is shortened to it: one odd batch must not throw the weights away. */
const LONGEST_GRADIENT = 5

/** Of each weight of the model. */
const UNITS = Float32Array.from(
  LAYERS.flatMap(([inputs, outputs], layer) =>
    Array.from({ length: (inputs + 1) * outputs }, (_, index) =>
      layer === LAYERS.length - 1 && index % outputs >= MEMORY_HEAD_AT ? MEMORY_UNIT : 1
    )
  )
)

/** Weights in TensorFlow's hands. `dispose` frees them. */
export class Network {
  readonly #variables: tf.Variable[]
  readonly #optimizer: tf.Optimizer
  /** [octave, octave]: 1 where the row's octave comes before the column's. */
  readonly #before: tf.Tensor2D

  /** `learningRate` is Adam's. `weights` as laid out in `model.ts`. */
  constructor(weights: Float32Array, learningRate: number) {
    // Variables outlive `tidy`; the zeros that they begin with do not.
    this.#variables = tf.tidy(() =>
      LAYERS.flatMap(([inputs, outputs]) => [
        tf.variable(tf.zeros([inputs, outputs])),
        tf.variable(tf.zeros([outputs]))
      ])
    )
    this.#optimizer = tf.train.adam(learningRate)
    this.#before = tf.tensor2d(
      Float32Array.from({ length: OCTAVES * OCTAVES }, (_, index) =>
        Math.floor(index / OCTAVES) < index % OCTAVES ? 1 : 0
      ),
      [OCTAVES, OCTAVES]
    )
    this.load(weights)
  }

  /** Replaces the weights. The optimizer's moments stay. */
  load(weights: Float32Array): void {
    let at = 0
    for (const variable of this.#variables) {
      const units = UNITS.subarray(at, at + variable.size)
      const values = weights.subarray(at, at + variable.size).map((weight, i) => weight / (units[i] ?? 1))
      at += variable.size
      tf.tidy(() => {
        variable.assign(tf.tensor(values, variable.shape))
      })
    }
  }

  /** A copy of the weights. */
  weights(): Float32Array {
    const weights = new Float32Array(WEIGHT_COUNT)
    let at = 0
    for (const variable of this.#variables) {
      weights.set(variable.dataSync<'float32'>(), at)
      at += variable.size
    }
    return weights.map((weight, index) => weight * (UNITS[index] ?? 1))
  }

  /** One step of Adam on these rows; returns their mean loss before it. */
  step(rows: readonly TrainingRow[]): number {
    return tf.tidy(() => {
      const batch = batchOf(rows)
      const { value, grads } = tf.variableGrads(() => this.#loss(batch), this.#variables)
      this.#optimizer.applyGradients(shortened(grads))
      return value.dataSync()[0] ?? NaN
    })
  }

  /** The raw outputs of a batch: gates (softmax) and octave masses, each row after row. */
  outputs(rows: readonly Float32Array[]): { gates: Float32Array; octaves: Float32Array } {
    return tf.tidy(() => {
      const features = tf.tensor2d(
        concatenated(rows, (row) => row.subarray(0, FEATURE_COUNT), FEATURE_COUNT),
        [rows.length, FEATURE_COUNT]
      )
      const head = this.#head(features)
      return {
        gates: gatesOf(head, offsetsOf(rows)).dataSync<'float32'>().slice(),
        octaves: this.#masses(head, hazardOffsetsOf(rows)).dataSync<'float32'>().slice()
      }
    })
  }

  dispose(): void {
    for (const variable of this.#variables) variable.dispose()
    this.#optimizer.dispose()
    this.#before.dispose()
  }

  #head(features: tf.Tensor2D): tf.Tensor2D {
    let layer = features
    LAYERS.forEach((_, index) => {
      const [weights, biases] = [this.#variables[2 * index], this.#variables[2 * index + 1]]
      if (weights === undefined || biases === undefined) return
      const sum: tf.Tensor2D = tf.add(tf.matMul(layer, weights as tf.Tensor2D), biases)
      layer = index === LAYERS.length - 1 ? sum : tf.relu(sum)
    })
    return layer
  }

  #loss(batch: Batch): tf.Scalar {
    const head = this.#head(batch.features)
    const failure = tf.mul(failureLoss(batch, slice(head, FAILURE_AT, 1)), FAILURE_WEIGHT)
    const corrections = tf.mul(slice(head, MEMORY_HEAD_AT, MEMORY_QUANTILES.length), MEMORY_UNIT)
    const memory = tf.mul(memoryLoss(batch, corrections as tf.Tensor2D), MEMORY_WEIGHT)
    return tf.add(tf.add(this.#timeLoss(batch, head), failure), memory)
  }

  #timeLoss(batch: Batch, head: tf.Tensor2D): tf.Scalar {
    const gates = gatesOf(head, batch.offsets)
    const own: tf.Tensor2D = tf.sum(tf.mul(this.#masses(head, batch.hazardOffsets), batch.octaves), 1, true)
    const likelihood = tf.sum(tf.mul(gates, tf.concat([batch.likelihood, own], 1)), 1)
    return tf.neg(tf.mean(tf.log(tf.add(likelihood, LEAST_LIKELIHOOD))))
  }

  /** [rows, octaves]: the distribution that the hazards make. */
  #masses(head: tf.Tensor2D, offsets: tf.Tensor2D): tf.Tensor2D {
    const logits: tf.Tensor2D = tf.add(slice(head, HAZARDS_AT, OCTAVES), offsets)
    // The last octave takes what is left: its hazard is 1.
    const last = tf.tensor2d(
      Float32Array.from({ length: OCTAVES }, (_, octave) => (octave === OCTAVES - 1 ? 1 : 0)),
      [1, OCTAVES]
    )
    const lnHazard = tf.mul(tf.neg(tf.softplus(tf.neg(logits))), tf.sub(1, last))
    const lnLeft = tf.matMul(tf.neg(tf.softplus(logits)), this.#before)
    return tf.exp(tf.add(lnHazard, lnLeft))
  }
}

/** Rows as tensors. */
interface Batch {
  readonly features: tf.Tensor2D
  /** [rows, gates]: what is added to the gates' logits. */
  readonly offsets: tf.Tensor2D
  /** [rows, octaves]: what is added to the hazards' logits. */
  readonly hazardOffsets: tf.Tensor2D
  readonly likelihood: tf.Tensor2D
  /** How much of each octave counts as the outcome. */
  readonly octaves: tf.Tensor2D
  readonly failed: tf.Tensor2D
  readonly failedKnown: tf.Tensor2D
  readonly memory: tf.Tensor2D
  readonly memoryKnown: tf.Tensor2D
}

function batchOf(rows: readonly TrainingRow[]): Batch {
  const count = rows.length
  for (const row of rows) {
    if (row.length !== ROW_LENGTH)
      throw new RangeError(`row: got ${row.length} numbers, expected ${ROW_LENGTH}`)
  }
  const column = (value: (row: TrainingRow) => number): tf.Tensor2D =>
    tf.tensor2d(Float32Array.from(rows, value), [count, 1])
  return {
    features: tf.tensor2d(
      concatenated(rows, (row) => row.subarray(0, FEATURE_COUNT), FEATURE_COUNT),
      [count, FEATURE_COUNT]
    ),
    offsets: offsetsOf(rows),
    hazardOffsets: hazardOffsetsOf(rows),
    likelihood: tf.tensor2d(
      concatenated(rows, (row) => row.subarray(LIKELIHOOD_AT, LIKELIHOOD_AT + EXPERT_COUNT), EXPERT_COUNT),
      [count, EXPERT_COUNT]
    ),
    octaves: tf.tensor2d(concatenated(rows, octavesOf, OCTAVES), [count, OCTAVES]),
    failed: column((row) => Math.max(0, row[FAILED_AT] ?? 0)),
    failedKnown: column((row) => (row[FAILED_AT] === FAILED_UNKNOWN ? 0 : 1)),
    memory: tf.tensor2d(concatenated(rows, memoryOf, MEMORY_QUANTILES.length), [
      count,
      MEMORY_QUANTILES.length
    ]),
    memoryKnown: column((row) => (row[MEMORY_AT] === NO_MEMORY ? 0 : 1))
  }
}

/** The logits by the statistics; 0 for the network's own distribution, of which they know nothing. */
function offsetsOf(rows: readonly Float32Array[]): tf.Tensor2D {
  const all = new Float32Array(rows.length * GATE_COUNT)
  rows.forEach((row, index) => {
    all.set(row.subarray(OFFSETS_AT, OFFSETS_AT + EXPERT_COUNT), index * GATE_COUNT)
  })
  return tf.tensor2d(all, [rows.length, GATE_COUNT])
}

function hazardOffsetsOf(rows: readonly Float32Array[]): tf.Tensor2D {
  const offsets = concatenated(
    rows,
    (row) => row.subarray(HAZARD_OFFSETS_AT, HAZARD_OFFSETS_AT + OCTAVES),
    OCTAVES
  )
  return tf.tensor2d(offsets, [rows.length, OCTAVES])
}

function gatesOf(head: tf.Tensor2D, offsets: tf.Tensor2D): tf.Tensor2D {
  return tf.softmax(tf.add(slice(head, 0, GATE_COUNT), offsets))
}

function memoryOf(row: TrainingRow): Float32Array {
  const memory = row.slice(MEMORY_AT, MEMORY_AT + MEMORY_QUANTILES.length)
  return memory[0] === NO_MEMORY ? memory.fill(0) : memory
}

function concatenated(
  rows: readonly Float32Array[],
  part: (row: Float32Array) => Float32Array,
  width: number
): Float32Array {
  const all = new Float32Array(rows.length * width)
  rows.forEach((row, index) => {
    all.set(part(row), index * width)
  })
  return all
}

function slice(head: tf.Tensor2D, from: number, width: number): tf.Tensor2D {
  return tf.slice(head, [0, from], [-1, width])
}

/** Cross entropy of failure. */
function failureLoss({ failed, failedKnown }: Batch, logits: tf.Tensor2D): tf.Scalar {
  const loss = tf.sub(tf.softplus(logits), tf.mul(failed, logits))
  return tf.mean(tf.mul(loss, failedKnown))
}

/** Quantile Huber loss (Dabney et al. 2018) of ln peak memory. */
function memoryLoss({ memory, memoryKnown }: Batch, corrections: tf.Tensor2D): tf.Scalar {
  const above = tf.sub(memory, corrections)
  const levels = tf.tensor2d([...MEMORY_QUANTILES], [1, MEMORY_QUANTILES.length])
  const loss = tf.add(
    tf.mul(huber(tf.relu(above)), levels),
    tf.mul(huber(tf.relu(tf.neg(above))), tf.sub(1, levels))
  )
  return tf.mean(tf.mul(loss, memoryKnown))
}

/** Of distances ≥ 0: quadratic up to `MEMORY_CLOSE`, above it as steep as the distance. */
function huber(distance: tf.Tensor): tf.Tensor {
  const close = tf.minimum(distance, MEMORY_CLOSE)
  return tf.mul(close, tf.div(tf.sub(distance, tf.div(close, 2)), MEMORY_CLOSE))
}

function shortened(grads: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  const squares = Object.values(grads).map((grad) => tf.sum(tf.square(grad)))
  const length = Math.sqrt(tf.addN(squares).dataSync()[0] ?? 0)
  // Nothing is learned from a batch that leads nowhere finite.
  const scale = Number.isFinite(length) ? Math.min(1, LONGEST_GRADIENT / Math.max(length, 1e-9)) : 0
  return Object.fromEntries(
    Object.entries(grads).map(([name, grad]) => [
      name,
      scale === 0 ? tf.zerosLike(grad) : tf.mul(grad, scale)
    ])
  )
}
