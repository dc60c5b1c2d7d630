/** The guarded policy in the simulator: it takes what the learned policy gives, and none of what poisoned predictions cost. */
import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import type { PolicySwitch } from '../../../../optimizer/guard/policy-choice.ts'
import { createReplay } from '../../../../optimizer/guard/replay.ts'
import { selfChoosing } from '../../../../optimizer/guard/self-choosing.ts'
import { poisoned, type Poison } from '../../../../optimizer/lab/poisoned.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { runningMean } from '../../../../optimizer/policies/predictors.ts'
import { shortestFirst } from '../../../../optimizer/policies/shortest-first.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import type { Policy, PolicyFactory } from '../../../../scheduler/policy.ts'
import { busyHistory, nodeFacts } from './fixture.ts'

const COUNT = 3_000
const load = createReplay(busyHistory(COUNT), [nodeFacts(1)], new Map())!
const safe = { name: 'least-loaded', factory: policyFactory('least-loaded') }

function meanJct(policy: Policy): number {
  const { workload, cluster, model } = load
  const { finishedAt } = simulate(workload, cluster, policy, { model: model() })
  return workload.tasks.reduce((sum, task, at) => sum + (finishedAt[at] ?? NaN) - task.submittedAt, 0) / COUNT
}

function guarded(
  estimator: () => Estimator,
  factory: (estimator: Estimator, learns: boolean) => PolicyFactory = (own, learns) =>
    learnedPolicy(own, { learns })
): { meanMs: number; switches: PolicySwitch[] } {
  const switches: PolicySwitch[] = []
  const policy = selfChoosing({
    ...{ name: 'guarded', safe, challenger: { name: 'learned', factory }, estimator, rng: createRng(1) },
    onSwitch: (change) => switches.push(change)
  })
  return { meanMs: meanJct(policy), switches }
}

const safeMs = meanJct(safe.factory(createRng(1)))

test('it takes most of what the learned policy gives', () => {
  const { meanMs, switches } = guarded(() => createLearnedEstimator())
  expect(switches.map(({ to }) => to)).toEqual(['learned'])
  expect(meanMs).toBeLessThan(0.8 * safeMs)
})

/** Believes what it is told, unlike the learned policy, which watches what siblings take. */
const gullible =
  (own: Estimator): PolicyFactory =>
  () =>
    shortestFirst({ name: 'gullible', estimator: own })

test('what the poison costs where nothing guards', () => {
  expect(meanJct(gullible(runningMean())(createRng(1)))).toBeLessThan(0.8 * safeMs)
  expect(meanJct(gullible(poisoned(runningMean(), 'inverted'))(createRng(1)))).toBeGreaterThan(safeMs)
})

test.each<Poison>(['inverted', 'constant', 'nan', 'huge'])(
  'of %s predictions nothing is believed: class means take their place',
  (poison) => {
    const { meanMs, switches } = guarded(() => poisoned(runningMean(), poison), gullible)
    expect(switches.map(({ to }) => to)).toEqual(['learned'])
    expect(meanMs).toBeLessThan(0.9 * safeMs)
  }
)

test.each<Poison>(['inverted', 'constant', 'nan', 'huge'])(
  'predictions that become %s in use do no harm for long',
  (poison) => {
    // Replays see it as well: what predicts in a cluster is a model that the log has, and so has the replay.
    let turned = false
    const factory = (own: Estimator, learns: boolean): PolicyFactory => {
      if (!learns) turned = true
      return gullible(own)
    }
    const make = (): Estimator => poisoned(runningMean(), poison, () => turned)
    const { meanMs, switches } = guarded(make, factory)
    expect(switches.map(({ to }) => to)).toEqual(['learned'])
    expect(meanMs).toBeLessThan(0.9 * safeMs)
  }
)

/** Turns right predictions over: nothing is wrong with them, only with who asks. */
const contrary =
  (isOn: () => boolean) =>
  (own: Estimator): PolicyFactory =>
    gullible(poisoned(own, 'inverted', isOn))

test('a challenger that does harm with right predictions is never used', () => {
  const { meanMs, switches } = guarded(
    runningMean,
    contrary(() => true)
  )
  expect(switches).toEqual([])
  expect(meanMs).toBe(safeMs)
})

test('a challenger that begins to do harm with right predictions does not for long', () => {
  let turned = false
  const { meanMs, switches } = guarded(runningMean, (own, learns) => {
    if (!learns) turned = true
    return contrary(() => turned)(own)
  })
  expect(switches.slice(0, 2).map(({ to }) => to)).toEqual(['learned', 'least-loaded'])
  expect(meanMs).toBeLessThan(1.02 * safeMs)
})

test.each([
  [
    'throws',
    (): never => {
      throw new Error('broken')
    }
  ],
  ['chooses what is not there', () => ({ taskId: taskId(1), node: nodeId(9) })],
  ['places nothing', () => undefined]
])('a challenger that %s in use is replaced within the call', (_, next) => {
  const factory = (own: Estimator, learns: boolean): PolicyFactory =>
    learns
      ? learnedPolicy(own, { learns })
      : () => ({
          name: 'broken',
          reset: () => undefined,
          onReady: () => undefined,
          onGone: () => undefined,
          next
        })
  const { meanMs, switches } = guarded(() => runningMean(), factory)
  expect(switches.slice(0, 2).map(({ to }) => to)).toEqual(['learned', 'least-loaded'])
  expect(meanMs).toBeLessThan(1.05 * safeMs)
})
