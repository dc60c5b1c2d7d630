/** The estimator that this node predicts with, and its models. */
import type { TrainingRow } from '../../optimizer/estimator/rows.ts'
import type { Model } from '../../optimizer/estimator/weights.ts'
import type { ClassKey, Estimator } from '../../optimizer/estimate.ts'
import { createStatistics } from '../../optimizer/estimator/statistics.ts'
import type { NodeView, TaskView } from '../../scheduler/policy.ts'

export interface LearnedEstimator extends Estimator {
  drainSamples(): TrainingRow[]
  useModel(model: Model | undefined): void
  explain(
    task: TaskView,
    node?: NodeView
  ): {
    experts: { name: string; weight: number; medianMs: number }[]
    contributions: { feature: string; factor: number }[]
  }
  status(): {
    predictions: number
    maeLn: number
    coverage90: number
    coverage99: number
    experts: Record<string, number>
    driftingClasses: number
    reliability: [number, number][]
    tenants: { tenant: string; count: number; coverage90: number; coverage99: number; pit: number[] }[]
  }
}

export function createLearnedEstimator(): LearnedEstimator {
  const inner = createStatistics()
  return {
    name: 'learned',
    classOf: (task): ClassKey => inner.classOf(task),
    predict: (task, node) => inner.predict(task, node),
    observe: (feedback) => {
      inner.observe(feedback)
    },
    drainSamples: () => [],
    useModel: () => undefined,
    explain: () => ({ experts: [], contributions: [] }),
    status: () => ({
      predictions: 0,
      maeLn: 0,
      coverage90: 0,
      coverage99: 0,
      experts: {},
      driftingClasses: 0,
      reliability: [],
      tenants: []
    })
  }
}
