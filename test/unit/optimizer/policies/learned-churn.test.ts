/** The learned policy where everything happens that can: it places what may be placed, and lets nothing lie. */
import { expect, test } from 'vitest'
import type { NodeId, TaskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import type { Estimator, Prediction } from '../../../../optimizer/estimate.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { createStatistics } from '../../../../optimizer/estimator/statistics.ts'
import { FinishFirst } from '../../../../optimizer/policies/learned/dag-finish.ts'
import { SharedGroups } from '../../../../optimizer/policies/learned/groups.ts'
import { learnedIndependent } from '../../../../optimizer/policies/learned/independent.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import type { GroupQueue } from '../../../../optimizer/policies/learned/group-queue.ts'
import { isPlaceable, takes } from '../../../../optimizer/policies/node-rules.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { Churn } from '../../../helpers/churn.ts'

const SEEDS = Array.from({ length: 8 }, (_, index) => index + 1)
/** Ends amid a wave of work. */
const STEPS = 340

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

/** A policy that has nothing but the queue of DAGs. */
function queued(queue: GroupQueue): Policy {
  let offered: NodeId | undefined
  return {
    name: 'queued',
    reset: (view) => {
      queue.reset(view)
      const met = new Set<TaskId>()
      for (const { taskId, node, placedAt } of view.running()) {
        if (!met.has(taskId)) queue.resume(view.task(taskId)!, node, placedAt, view)
        met.add(taskId)
      }
      for (const task of view.ready()) queue.add(task, view)
    },
    onReady: (task, view) => {
      queue.add(task, view)
    },
    onGone: (id, view) => {
      queue.gone(id, offered, view)
      offered = undefined
    },
    onEnded: (feedback, view) => {
      queue.ended(feedback, view)
    },
    onFinished: (id, view) => {
      queue.finished(id, view)
    },
    onNodesChanged: (view) => {
      queue.nodesChanged(view)
    },
    next: (view) => {
      const candidate = queue.peek(view)
      offered = candidate?.node
      return candidate
    },
    wakeAt: (view) => queue.wakeAt?.(view)
  }
}

const QUEUES: readonly [string, (estimator: Estimator) => SharedGroups | FinishFirst][] = [
  ['SharedGroups', (estimator) => new SharedGroups(estimator)],
  ['FinishFirst', (estimator) => new FinishFirst(estimator)]
]

test.each(QUEUES)('%s counts what waits, and forgets what is over', (_, make) => {
  let waited = 0
  let remembered = 0
  for (const seed of SEEDS) {
    const queue = make(createStatistics())
    const onIdle = (churn: Churn): void => {
      const waiting = churn.ready().filter((task) => isPlaceable(task, churn))
      waited += waiting.length
      expect(queue.waiting).toBe(waiting.length)
    }
    const churn = new Churn(queued(queue), { seed, mixed: queue instanceof FinishFirst, dags: true, onIdle })
    churn.run(STEPS)
    remembered += queue.remembered
    churn.drain()
    expect(queue.remembered).toBe(0)
  }
  expect(waited).toBeGreaterThan(1000)
  expect(remembered).toBeGreaterThan(100)
})

const NO_NUMBERS = [NaN, Infinity, 0, -5, 1e308, 1e-300, 5, 1000]

/** Answers by what is drawn of these. */
function goneWrong(answers: readonly number[], seed: number): Estimator {
  const rng = createRng(seed)
  const answer = (): number => answers[rng.nextInt(answers.length)]!
  const prediction: Prediction = {
    get meanMs() {
      return answer()
    },
    get medianMs() {
      return answer()
    },
    quantileMs: answer,
    remainingMs: answer,
    failureProbability: 0,
    memoryBytes: answer
  }
  return {
    name: 'gone wrong',
    classOf: (task) => task.name,
    predict: () => prediction,
    lnNodeFactor: answer,
    observe: () => undefined
  }
}

test.each([['of all kinds', NO_NUMBERS] as const, ...NO_NUMBERS.map((one) => [String(one), [one]] as const)])(
  'predictions that are no numbers keep nothing from running (%s)',
  (_, answers) => {
    for (const seed of SEEDS.slice(0, 4)) {
      const policy = learnedPolicy(goneWrong(answers, seed))(createRng(1))
      const churn = new Churn(policy, { seed, mixed: seed % 2 === 0, dags: true })
      churn.run(STEPS)
      churn.drain()
    }
  }
)
