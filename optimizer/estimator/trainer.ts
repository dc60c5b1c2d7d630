/**
 * Trains a network on rows as they come: synchronous and without a clock, so that it runs in a worker thread or in the middle of a
 * simulation, and equal rows give equal weights.
 *
 * 1. Kept are a uniform sample of all rows (reservoir, Vitter 1985) and the latest ones; a batch draws from both.
 * 2. A step is due for each `ROWS_PER_STEP` rows added, not more: that bounds the work by what happens.
 * 3. What it gives away is a running mean of the weights (Polyak & Juditsky, 1992), which is calmer than the last step's.
 * 4. Every fifth row is held back until it was judged (prequential): the evaluation compares the network's log loss with that of the mixture without
 *    it on the newest of these. Rows that the weights were trained on before are not judged: on them any network is good.
 */
import type { Rng } from '../../base/prng.ts'
import { ForwardPass } from './forward.ts'
import { likelihoodByRecord, likelihoodOf } from './likelihood.ts'
import { initialWeights } from './model.ts'
import { Network } from './network.ts'
import { ROW_LENGTH } from './rows.ts'
import type { TrainingRow } from './rows.ts'

const RESERVOIR = 20_000
const LATEST = 5000
export const BATCH = 256
export const ROWS_PER_STEP = 64
/** Of a batch, this share comes from the latest rows. */
const LATEST_SHARE = 0.4
const LEARNING_RATE = 3e-3
/** Weight of the past in the running mean of the weights. */
const AVERAGE_DECAY = 0.98
/** Rows judged at once, and how many judgements an evaluation looks back. */
const JUDGED = 64
const JUDGED_EVERY = 5
const JUDGEMENTS = 40
const LEAST_LIKELIHOOD = 1e-9

/** How good the network was on rows that it had not learned from yet. Losses are means of −ln likelihood. */
export interface Evaluation {
  /** Rows judged. */
  readonly rows: number
  readonly loss: number
  /** The loss of the mixture that the statistics alone make, on the same rows. */
  readonly statisticsLoss: number
  /** Lower bound of the 95 % interval of (statisticsLoss − loss) ÷ statisticsLoss, over blocks of rows. */
  readonly gainLow: number
  readonly steps: number
  /** Rows added since the beginning. */
  readonly trainedOn: number
}

export interface TrainerOptions {
  readonly rng: Rng
  /** Weights to go on from; fresh ones otherwise. */
  readonly weights?: Float32Array
  /** So many of the rows that come first may have been learned from by whoever trained the weights. Default 0. */
  readonly knownRows?: number
  readonly learningRate?: number
}

export class Trainer {
  readonly #rng: Rng
  readonly #network: Network
  readonly #reservoir: TrainingRow[] = []
  readonly #latest: TrainingRow[] = []
  readonly #unjudged: TrainingRow[] = []
  readonly #judgements: { readonly loss: number; readonly statisticsLoss: number }[] = []
  #average: Float32Array
  #averageWeight = 1
  #known: number
  #added = 0
  #kept = 0
  #due = 0
  #steps = 0

  constructor({ rng, weights, knownRows = 0, learningRate = LEARNING_RATE }: TrainerOptions) {
    this.#rng = rng
    this.#known = knownRows
    this.#average = weights?.slice() ?? initialWeights(rng)
    this.#network = new Network(this.#average, learningRate)
  }

  /** Rows added since the beginning. */
  get rows(): number {
    return this.#added
  }

  /** Whether `step` would do something. */
  get isDue(): boolean {
    return this.#due >= ROWS_PER_STEP
  }

  /** Adds a row. One that is not `ROW_LENGTH` finite numbers is ignored: it would teach nothing but NaN. */
  add(row: TrainingRow): void {
    const isKnown = this.#known > 0
    if (isKnown) this.#known--
    if (row.length !== ROW_LENGTH || !row.every(Number.isFinite)) return
    this.#added++
    this.#due++
    if (isKnown || this.#added % JUDGED_EVERY > 0) this.#keep(row)
    else this.#unjudged.push(row)
    if (this.#unjudged.length >= JUDGED) this.#judge()
  }

  #keep(row: TrainingRow): void {
    this.#kept++
    if (this.#reservoir.length < RESERVOIR) this.#reservoir.push(row)
    else {
      const place = this.#rng.nextInt(this.#kept)
      if (place < RESERVOIR) this.#reservoir[place] = row
    }
    this.#latest[(this.#kept - 1) % LATEST] = row
  }

  /** One step if one is due. Returns the batch's mean loss, or undefined when there was nothing to do. */
  step(): number | undefined {
    if (!this.isDue) return undefined
    this.#due -= ROWS_PER_STEP
    const batch = Array.from({ length: BATCH }, () => this.#draw())
    const loss = this.#network.step(batch.filter((row) => row !== undefined))
    this.#steps++
    this.#averageWeight = this.#averageWeight * AVERAGE_DECAY + 1
    const weights = this.#network.weights()
    const share = 1 / this.#averageWeight
    const average = this.#average
    weights.forEach((weight, index) => {
      average[index] = (average[index] ?? 0) + share * (weight - (average[index] ?? 0))
    })
    return loss
  }

  /** A copy of the weights to predict with. */
  weights(): Float32Array {
    return this.#average.slice()
  }

  evaluation(): Evaluation {
    const blocks = this.#judgements
    const loss = mean(blocks.map((block) => block.loss))
    const statisticsLoss = mean(blocks.map((block) => block.statisticsLoss))
    const gains = blocks.map((block) => block.statisticsLoss - block.loss)
    const gain = mean(gains)
    const variance = mean(gains.map((each) => (each - gain) ** 2))
    // Blocks are few and roughly normal: mean − 2 standard errors.
    const low = gain - 2 * Math.sqrt(variance / Math.max(1, blocks.length - 1))
    return {
      rows: blocks.length * JUDGED,
      loss,
      statisticsLoss,
      gainLow: blocks.length < 2 ? -Infinity : low / Math.max(LEAST_LIKELIHOOD, statisticsLoss),
      steps: this.#steps,
      trainedOn: this.#added
    }
  }

  dispose(): void {
    this.#network.dispose()
  }

  #draw(): TrainingRow | undefined {
    const from = this.#rng.nextFloat() < LATEST_SHARE ? this.#latest : this.#reservoir
    return from[this.#rng.nextInt(from.length)]
  }

  /** Judges the rows that were held back by what predictions are made with, then learns from them as from others. */
  #judge(): void {
    const rows = this.#unjudged.splice(0)
    const forward = new ForwardPass(this.#average)
    const losses = rows.map((row) => {
      const { gates, octaves } = forward.run(row)
      return lossOf(likelihoodOf(row, gates, octaves))
    })
    const statistics = rows.map((row) => lossOf(likelihoodByRecord(row)))
    this.#judgements.push({ loss: mean(losses), statisticsLoss: mean(statistics) })
    if (this.#judgements.length > JUDGEMENTS) this.#judgements.shift()
    for (const row of rows) this.#keep(row)
  }
}

function lossOf(likelihood: number): number {
  return -Math.log(Math.max(LEAST_LIKELIHOOD, likelihood))
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}
