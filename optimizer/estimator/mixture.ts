/**
 * One class's mixture: how much each expert counts, and the distribution that this makes.
 *
 * Two ways of weighing the experts compete under Hedge, beside two predictors of the published baselines:
 *
 * - *statistics*: the prior weights, moved by the experts' records with the tenant and with the class (Bayesian model averaging with a
 *   fading memory);
 * - *network*: the gates of the network, and its own distribution by octaves;
 * - *limit* and *last two*: the experts that come closest to them.
 *
 * All four are weights over the same experts, so the mixture of mixtures is one weighted sum.
 */
import { FINE_BINS, OCTAVES, PER_OCTAVE } from './bins.ts'
import { EXPERTS, PRIOR_LOGITS } from './experts.ts'
import type { ExpertMasses } from './experts.ts'
import type { NetworkOutput } from './forward.ts'
import { boundOctaves } from './hazards.ts'
import { COMPONENTS } from './hedge.ts'
import { KEPT } from './likelihood.ts'
import type { SiblingGroup } from './running-siblings.ts'
import { EXPERT_COUNT, GATE_COUNT } from './rows.ts'

const LIMIT = EXPERTS.indexOf('limit-share-all')
const LAST_TWO = EXPERTS.indexOf('tenant-fast')
const BY_LIMIT = COMPONENTS.indexOf('limit')
const BY_LAST_TWO = COMPONENTS.indexOf('last-two')
const STATISTICS = COMPONENTS.indexOf('statistics')
const NETWORK = COMPONENTS.indexOf('network')
/** An expert below this weight is not worth the sum. */
const NEGLIGIBLE = 1e-4
/** Share of the within-octave shape that is flat. */
const FLAT = 0.2
/** How strongly records (mean log likelihoods) move the prior weights. */
const RECORD_RATE = 1
/**
 * A class that has runs of its own goes by what is made of these, by this much on the logit at the most. Records cannot tell as long as a
 * tenant runs one class at a time, as shortest-first does with a backlog: all that the tenant ran lately is of that class, until it is not.
 */
const OWN_LOGIT = 1
const OF_OWN_RUNS = new Set(['chain', 'name', 'class', 'class-fast', 'class-slow', 'name-fast', 'last'])
const OWN_LOGITS = Float64Array.from(EXPERTS, (expert) => (OF_OWN_RUNS.has(expert) ? OWN_LOGIT : 0))
/** What a sibling that still runs counts, against 1 for independent evidence: siblings are alike. */
const SIBLING_RATE = 0.6
const LEAST_SURVIVAL = 0.01

/** How well experts did for one class: mean log likelihoods, of how many runs they count, and the share of the most that they can count. */
export interface OwnRecords {
  readonly records: Float32Array
  readonly runs: number
  readonly share: number
}

/** What moves the experts' weights before any network. */
export interface Evidence {
  /** Of the class's tenant. */
  readonly records: Float32Array | undefined
  readonly own: OwnRecords | undefined
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

  /** Whether the network has a part in the masses. */
  get byNetwork(): boolean {
    return this.output !== undefined && (this.hedge[NETWORK] ?? 0) > 0
  }

  /** The weight of an expert in the masses. */
  weightOf(expert: number): number {
    return this.#total[expert] ?? 0
  }

  /** Works out masses from the experts. `hedge`, `byRecord` and `output` are up to date. */
  combine(experts: ExpertMasses): void {
    const { masses, output } = this
    const total = this.#total
    const statistics = this.hedge[STATISTICS] ?? 0
    const network = output === undefined ? 0 : (this.hedge[NETWORK] ?? 0)
    const byRecord = statistics + KEPT * network
    const byGates = (1 - KEPT) * network
    for (let gate = 0; gate < GATE_COUNT; gate++) {
      total[gate] = byRecord * (this.byRecord[gate] ?? 0) + byGates * (output?.gates[gate] ?? 0)
    }
    total[LIMIT] = (total[LIMIT] ?? 0) + (this.hedge[BY_LIMIT] ?? 0)
    total[LAST_TWO] = (total[LAST_TWO] ?? 0) + (this.hedge[BY_LAST_TWO] ?? 0)
    sumInto(masses, experts.all, total)
    const own = total[EXPERT_COUNT] ?? 0
    if (output !== undefined && own >= NEGLIGIBLE)
      addOctaves(masses, output.octaves, experts.of('chain'), own)
    experts.finish(masses)
  }
}

/** Experts of one sum: where their masses begin and their weights, and room for some of weight 0 to fill up the last four. */
const STARTS = new Int32Array(EXPERT_COUNT + 3)
const WEIGHTS = new Float64Array(EXPERT_COUNT + 3)

/** masses ← Σ weight × expert, in the order of experts, without negligible ones. Four at a time: it is the largest sum of all. */
function sumInto(masses: Float64Array, all: Float32Array, weights: Float64Array): void {
  let used = 0
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    const weight = weights[expert] ?? 0
    if (weight < NEGLIGIBLE) continue
    STARTS[used] = expert * FINE_BINS
    WEIGHTS[used++] = weight
  }
  WEIGHTS.fill(0, used)
  masses.fill(0)
  for (let at = 0; at < used; at += 4) {
    const a = WEIGHTS[at] ?? 0
    const b = WEIGHTS[at + 1] ?? 0
    const c = WEIGHTS[at + 2] ?? 0
    const d = WEIGHTS[at + 3] ?? 0
    const fromA = STARTS[at] ?? 0
    const fromB = STARTS[at + 1] ?? 0
    const fromC = STARTS[at + 2] ?? 0
    const fromD = STARTS[at + 3] ?? 0
    for (let bin = 0; bin < FINE_BINS; bin++) {
      masses[bin] =
        (masses[bin] ?? 0) +
        a * (all[fromA + bin] ?? 0) +
        b * (all[fromB + bin] ?? 0) +
        c * (all[fromC + bin] ?? 0) +
        d * (all[fromD + bin] ?? 0)
    }
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
  into[BY_LIMIT] = ln(likelihood[LIMIT] ?? 0)
  into[BY_LAST_TWO] = ln(likelihood[LAST_TWO] ?? 0)
  into[STATISTICS] = ln(statistics)
  // Without a network, what it would have said is unknown: as good as the statistics.
  into[NETWORK] = ln(ofNetwork ?? statistics)
}

/**
 * Prior × records × how well each expert bears that siblings still run (an expert that expected less loses weight), as logits into `logits` and
 * normalised into `weights`. Siblings' ages are taken for those on a typical node.
 */
export function weighByRecord(
  weights: Float64Array,
  logits: Float32Array,
  experts: ExpertMasses,
  { records, own, siblings }: Evidence
): void {
  if (siblings.length > 0) bear(experts, siblings)
  let sum = 0
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    let logit = (PRIOR_LOGITS[expert] ?? 0) + RECORD_RATE * (records?.[expert] ?? 0)
    if (own !== undefined)
      logit += own.runs * (own.records[expert] ?? 0) + own.share * (OWN_LOGITS[expert] ?? 0)
    if (siblings.length > 0) logit += SIBLING_RATE * (BEARINGS[expert] ?? 0)
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

/** Logits by expert, with room for the last four. */
const BEARINGS = new Float64Array(EXPERT_COUNT + 3)

/**
 * How well each expert bears that these siblings still run, as logits into `BEARINGS`. One pass over masses, from above, four experts at a
 * time: a sum has to wait for its own last addition, but not for those of others.
 */
function bear({ all, lastBin }: ExpertMasses, siblings: readonly SiblingGroup[]): void {
  BEARINGS.fill(0)
  for (let first = 0; first < EXPERT_COUNT; first += 4) {
    const fromA = first * FINE_BINS
    const fromB = startOf(first + 1)
    const fromC = startOf(first + 2)
    const fromD = startOf(first + 3)
    let a = 0
    let b = 0
    let c = 0
    let d = 0
    let bin = FINE_BINS - 1
    // The oldest first: by falling bins.
    for (const sibling of siblings) {
      for (; bin > sibling.bin; bin--) {
        a += all[fromA + bin] ?? 0
        b += all[fromB + bin] ?? 0
        c += all[fromC + bin] ?? 0
        d += all[fromD + bin] ?? 0
      }
      const open = sibling.bin >= lastBin ? 0 : 1
      const { weight } = sibling
      BEARINGS[first] = (BEARINGS[first] ?? 0) + weight * Math.log(open * a + LEAST_SURVIVAL)
      BEARINGS[first + 1] = (BEARINGS[first + 1] ?? 0) + weight * Math.log(open * b + LEAST_SURVIVAL)
      BEARINGS[first + 2] = (BEARINGS[first + 2] ?? 0) + weight * Math.log(open * c + LEAST_SURVIVAL)
      BEARINGS[first + 3] = (BEARINGS[first + 3] ?? 0) + weight * Math.log(open * d + LEAST_SURVIVAL)
    }
  }
}

/** Where the expert's masses begin; the last one's for those that there are not. */
function startOf(expert: number): number {
  return Math.min(expert, EXPERT_COUNT - 1) * FINE_BINS
}

function ln(likelihood: number): number {
  return Math.log(Math.max(1e-9, likelihood))
}

/** What is believed of a network's octaves; room for one computation at a time. */
const BELIEVED = new Float64Array(OCTAVES)

/** Spreads octaves over their bins in the shape that the statistics give them. */
function addOctaves(masses: Float64Array, octaves: Float32Array, shape: Float32Array, weight: number): void {
  boundOctaves(octaves, shape, BELIEVED)
  for (let octave = 0; octave < OCTAVES; octave++) {
    const mass = weight * (BELIEVED[octave] ?? 0)
    const from = octave * PER_OCTAVE
    let sum = 0
    for (let bin = from; bin < from + PER_OCTAVE; bin++) sum += shape[bin] ?? 0
    for (let bin = from; bin < from + PER_OCTAVE; bin++) {
      const within = sum > 0 ? (shape[bin] ?? 0) / sum : 1 / PER_OCTAVE
      masses[bin] = (masses[bin] ?? 0) + mass * ((1 - FLAT) * within + FLAT / PER_OCTAVE)
    }
  }
}
