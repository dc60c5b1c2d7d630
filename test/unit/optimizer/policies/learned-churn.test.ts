/** The learned policy where everything happens that can: it places what may be placed, and lets nothing lie. */
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { createStatistics } from '../../../../optimizer/estimator/statistics.ts'
import { learnedIndependent } from '../../../../optimizer/policies/learned/independent.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { takes } from '../../../../optimizer/policies/node-rules.ts'
import { Churn } from '../../../helpers/churn.ts'

const SEEDS = Array.from({ length: 8 }, (_, index) => index + 1)
const STEPS = 300

/** Everything that happens in a churn with DAGs and copies. */
const ALL = [
  ...['arrive', 'dag', 'place', 'copy', 'notCopied', 'succeed', 'fail', 'cancelReady', 'cancelPlaced'],
  ...['refuse', 'join', 'leave', 'reset', 'wait']
]

test.each([
  ['alike', false],
  ['mixed', true]
])('whatever happens, all that some node can run ends (nodes are %s)', (_, mixed) => {
  const happened = new Set<string>()
  for (const seed of SEEDS) {
    const churn = new Churn(learnedPolicy(createLearnedEstimator())(createRng(1)), {
      seed,
      mixed,
      dags: true
    })
    churn.run(STEPS)
    for (const what of churn.counts.keys()) happened.add(what)
    churn.drain()
  }
  expect([...happened].sort()).toEqual([...ALL].sort())
})

const ESTIMATORS: readonly [string, () => Estimator][] = [
  ['learned', () => createLearnedEstimator()],
  ['statistics', () => createStatistics()]
]

test.each(ESTIMATORS)('without room held for anybody nothing waits that fits somewhere (%s)', (_, make) => {
  let waited = 0
  for (const seed of SEEDS) {
    const onIdle = (churn: Churn): void => {
      for (const task of churn.ready()) {
        waited++
        const host = churn.nodes().find((node) => takes(task, node, churn))
        if (host !== undefined) expect({ seed, at: churn.now, task: task.id, host: host.id }).toBe('waiting')
      }
    }
    const policy = learnedIndependent(make(), { share: 0, headShare: 0 })
    const churn = new Churn(policy, { seed, mixed: seed % 2 === 0, onIdle })
    churn.run(STEPS)
  }
  expect(waited).toBeGreaterThan(1000)
})
