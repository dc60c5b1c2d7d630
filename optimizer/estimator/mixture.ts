/**
 * One class's mixture: how much each expert counts, and the distribution that this makes.
 *
 * Two ways of weighing the experts compete under Hedge, beside two predictors of the published baselines:
 *
 * - *statistics*: the prior weights, moved by the experts' records with the tenant (Bayesian model averaging with a fading memory);
 * - *network*: the gates of the network, and its own distribution by octaves;
 * - *limit* and *last two*: the experts that come closest to them.
 *
 * All four are weights over the same experts, so the mixture of mixtures is one weighted sum.
 */
import { FINE_BINS, OCTAVES } from './bins.ts'
import { EXPERTS, PRIOR_LOGITS } from './experts.ts'
import type { ExpertMasses } from './experts.ts'
import type { NetworkOutput } from './forward.ts'
import { COMPONENTS } from './hedge.ts'
import type { SiblingGroup } from './running-siblings.ts'
import { EXPERT_COUNT, GATE_COUNT } from './rows.ts'

const LIMIT = EXPERTS.indexOf('limit-share-all')
const LAST_TWO = EXPERTS.indexOf('tenant-fast')
const STATISTICS = COMPONENTS.indexOf('statistics')
const NETWORK = COMPONENTS.indexOf('network')
const PER_OCTAVE = FINE_BINS / OCTAVES
/** An expert below this weight is not worth the sum. */
const NEGLIGIBLE = 1e-4
/** Share of the within-octave shape that is flat. */
const FLAT = 0.2
/** How strongly records (mean log likelihoods) move the prior weights. */
const RECORD_RATE = 1
/** What a sibling that still runs counts, against 1 for independent evidence: siblings are alike. */
const SIBLING_RATE = 0.6
const LEAST_SURVIVAL = 0.01

/** What moves the experts' weights before any network. */
export interface Evidence {
  readonly records: Float32Array | undefined
  readonly siblings: readonly SiblingGroup[]
}

/** Everything that one class's prediction is made of. */
export class Mixture {
  readonly masses = new Float64Array(FINE_BINS)
  /** Weights of the four components: Hedge's. */
  readonly hedge = new Float64Array(COMPONENTS.length)
  /** Weights of experts by the statistics. */
  readonly byRecord = new Float64Array(EXPERT_COUNT)
  /** What the network said last; undefined without a model. */
  output: NetworkOutput | undefined

  readonly #total = new Float64Array(GATE_COUNT)

  /** The weight of an expert in the masses. */
  weightOf(expert: number): number {
    return this.#total[expert] ?? 0
  }

  /** Works out masses from the experts. `hedge`, `byRecord` and `output` are up to date. */
  combine(experts: ExpertMasses): void {
    const { masses, output } = this
    masses.fill(0)
    const total = this.#total
    const [limit = 0, lastTwo = 0] = this.hedge
    const statistics = this.hedge[STATISTICS] ?? 0
    const network = output === undefined ? 0 : (this.hedge[NETWORK] ?? 0)
    for (let gate = 0; gate < GATE_COUNT; gate++) {
      total[gate] = statistics * (this.byRecord[gate] ?? 0) + network * (output?.gates[gate] ?? 0)
    }
    total[LIMIT] = (total[LIMIT] ?? 0) + limit
    total[LAST_TWO] = (total[LAST_TWO] ?? 0) + lastTwo
    const all = experts.all
    for (let expert = 0; expert < EXPERT_COUNT; expert++) {
      const weight = total[expert] ?? 0
      if (weight < NEGLIGIBLE) continue
      const from = expert * FINE_BINS
      for (let bin = 0; bin < FINE_BINS; bin++) {
        masses[bin] = (masses[bin] ?? 0) + weight * (all[from + bin] ?? 0)
      }
    }
    const own = total[EXPERT_COUNT] ?? 0
    if (output !== undefined && own >= NEGLIGIBLE)
      addOctaves(masses, output.octaves, experts.of('chain'), own)
    experts.finish(masses)
  }
}

/** Writes the log likelihood that each component gave to an outcome into `into`, from that of each expert. */
export function scoreComponents(
  byRecord: Float64Array,
  likelihood: Float32Array,
  ofNetwork: number | undefined,
  into: Float64Array
): void {
  let statistics = 0
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    statistics += (byRecord[expert] ?? 0) * (likelihood[expert] ?? 0)
  }
  into[0] = ln(likelihood[LIMIT] ?? 0)
  into[1] = ln(likelihood[LAST_TWO] ?? 0)
  into[STATISTICS] = ln(statistics)
  // Without a network, what it would have said is unknown: as good as the statistics.
  into[NETWORK] = ln(ofNetwork ?? statistics)
}

/**
 * Prior × record × how well each expert bears that siblings still run (an expert that expected less loses weight), as logits into `logits` and
 * normalised into `weights`. Siblings' ages are taken for those on a typical node.
 */
export function weighByRecord(
  weights: Float64Array,
  logits: Float32Array,
  experts: ExpertMasses,
  { records, siblings }: Evidence
): void {
  let sum = 0
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    let logit = (PRIOR_LOGITS[expert] ?? 0) + RECORD_RATE * (records?.[expert] ?? 0)
    if (siblings.length > 0) logit += bearing(experts, expert, siblings)
    const weight = Math.exp(logit)
    logits[expert] = logit
    weights[expert] = weight
    sum += weight
  }
  const lnSum = Math.log(sum)
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    weights[expert] = (weights[expert] ?? 0) / sum
    logits[expert] = (logits[expert] ?? 0) - lnSum
  }
}

/** How well the expert bears that these siblings still run, as a logit. One pass over its masses, from above. */
function bearing(experts: ExpertMasses, expert: number, siblings: readonly SiblingGroup[]): number {
  const from = expert * FINE_BINS
  const { all, lastBin } = experts
  let above = 0
  let bin = FINE_BINS - 1
  let logit = 0
  // The oldest first: by falling bins.
  for (const sibling of siblings) {
    while (bin > sibling.bin) above += all[from + bin--] ?? 0
    const survival = sibling.bin >= lastBin ? 0 : above
    logit += sibling.weight * Math.log(survival + LEAST_SURVIVAL)
  }
  return SIBLING_RATE * logit
}

function ln(likelihood: number): number {
  return Math.log(Math.max(1e-9, likelihood))
}

/** Spreads octaves over their bins in the shape that the statistics give them. */
function addOctaves(masses: Float64Array, octaves: Float32Array, shape: Float32Array, weight: number): void {
  for (let octave = 0; octave < OCTAVES; octave++) {
    const mass = weight * (octaves[octave] ?? 0)
    const from = octave * PER_OCTAVE
    let sum = 0
    for (let bin = from; bin < from + PER_OCTAVE; bin++) sum += shape[bin] ?? 0
    for (let bin = from; bin < from + PER_OCTAVE; bin++) {
      const within = sum > 0 ? (shape[bin] ?? 0) / sum : 1 / PER_OCTAVE
      masses[bin] = (masses[bin] ?? 0) + mass * ((1 - FLAT) * within + FLAT / PER_OCTAVE)
    }
  }
}
