/** Why a prediction is what it is: which experts it comes from, and which features moved it. For people; asked rarely. */
import { quantileLn } from './bins.ts'
import { EXPERTS } from './experts.ts'
import type { ExpertMasses } from './experts.ts'
import { FEATURE_NAMES } from './features.ts'
import type { ForwardPass } from './forward.ts'
import { COMPONENTS } from './hedge.ts'
import { Mixture } from './mixture.ts'

const MOST_SHOWN = 8

export interface PredictionExplanation {
  readonly class: string
  /** Completions of the class and of its tenant so far. */
  readonly classCompletions: number
  readonly tenantCompletions: number
  readonly medianMs: number
  readonly p90Ms: number
  readonly p99Ms: number
  /** By how much the node multiplies run times; 1 when none was named. */
  readonly nodeFactor: number
  /** Weight of each component. */
  readonly components: Readonly<Record<string, number>>
  /** What the mixture is made of, heaviest first: each expert's weight and its own median. */
  readonly experts: readonly { readonly name: string; readonly weight: number; readonly medianMs: number }[]
  /** By how much each feature multiplies the median, against a feature that says nothing; the strongest first. Empty without a model. */
  readonly features: readonly { readonly name: string; readonly value: number; readonly factor: number }[]
  /** Whether the class behaves anew, so that the network is not asked. */
  readonly drifting: boolean
}

/** The experts of a mixture, heaviest first. */
export function expertsOf(
  mixture: Mixture,
  experts: ExpertMasses,
  limitMs: number
): PredictionExplanation['experts'] {
  const most = limitMs > 0 ? limitMs : Infinity
  return EXPERTS.map((name, index) => ({
    name,
    weight: mixture.weightOf(index),
    medianMs: Math.min(most, Math.exp(quantileLn(experts.of(name), 0.5)))
  }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, MOST_SHOWN)
}

/** Takes each feature away in turn and sees what becomes of the median. */
export function featuresOf(
  mixture: Mixture,
  experts: ExpertMasses,
  forward: ForwardPass,
  row: Float32Array
): PredictionExplanation['features'] {
  const trial = new Mixture()
  trial.hedge.set(mixture.hedge)
  trial.byRecord.set(mixture.byRecord)
  const medianOf = (features: Float32Array): number => {
    trial.output = forward.run(features)
    trial.combine(experts)
    return quantileLn(trial.masses, 0.5)
  }
  const whole = medianOf(row)
  const without = row.slice()
  return FEATURE_NAMES.map((name, index) => {
    const value = row[index] ?? 0
    without[index] = 0
    const factor = value === 0 ? 1 : Math.exp(whole - medianOf(without))
    without[index] = value
    return { name, value, factor }
  })
    .sort((a, b) => Math.abs(Math.log(b.factor)) - Math.abs(Math.log(a.factor)))
    .slice(0, MOST_SHOWN)
}

/** The weights of the components by name. */
export function componentsOf(mixture: Mixture): Readonly<Record<string, number>> {
  return Object.fromEntries(COMPONENTS.map((name, index) => [name, mixture.hedge[index] ?? 0]))
}
