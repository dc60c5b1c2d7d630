import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import type { AttemptFeedback } from '../../../../scheduler/policy.ts'
import { createStatistics } from '../../../../optimizer/estimator/statistics.ts'
import type { Estimator, Prediction } from '../../../../optimizer/estimate.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../../../optimizer/lab/synthetic.ts'
import { IndependentQueue } from '../../../../optimizer/policies/learned/independent-queue.ts'
import { learnedIndependent } from '../../../../optimizer/policies/learned/independent.ts'
import { oracle } from '../../../../optimizer/policies/predictors.ts'
import { shortestFirst } from '../../../../optimizer/policies/shortest-first.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import { machineOf, nodesOf, placed, runPolicy, starts, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const truthOf = (tasks: readonly TaskSketch[]): Estimator => oracle((id) => tasks[id - 1]!.work)
const sketches = fc.array(
  fc.record({
    work: fc.integer({ min: 1, max: 100_000 }),
    at: fc.integer({ min: 0, max: 200_000 }),
    cpu: fc.integer({ min: 1, max: 4 }).map((cores) => cores * 1000),
    name: fc.constantFrom('a', 'b', 'c')
  }),
  { minLength: 1, maxLength: 60 }
)

test('with the truth and no share in order of arrival it is shortest area first', () => {
  fc.assert(
    fc.property(sketches, (drawn) => {
      const tasks = [...drawn].sort((a, b) => a.at - b.at)
      const learned = learnedIndependent(truthOf(tasks), { share: 0, headShare: 0 })
      const plain = shortestFirst({ name: 'sjf', estimator: truthOf(tasks) })
      expect(starts(runPolicy(tasks, machineOf(6000), learned))).toEqual(
        starts(runPolicy(tasks, machineOf(6000), plain))
      )
    }),
    { numRuns: 60 }
  )
})

test('every task runs, whatever is drawn, and twice the same', () => {
  fc.assert(
    fc.property(sketches, fc.double({ min: 0, max: 1, noNaN: true }), (drawn, share) => {
      const tasks = [...drawn].sort((a, b) => a.at - b.at)
      const run = (): number[] =>
        starts(runPolicy(tasks, machineOf(4000), learnedIndependent(createStatistics(), { share })))
      const once = run()
      expect(once.every((start) => start >= 0)).toBe(true)
      expect(run()).toEqual(once)
    }),
    { numRuns: 60 }
  )
})

test('a larger priority goes first, however long it takes', () => {
  const tasks = [
    { work: 10, priority: 0 },
    { work: 9000, priority: 5 },
    { work: 100, priority: 5 },
    { work: 50, priority: -1 }
  ]
  expect(placed(runPolicy(tasks, nodesOf([1]), learnedIndependent(truthOf(tasks))))).toEqual([3, 2, 1, 4])
})

test('of a burst nobody knows one is tried, the others wait for what it shows', () => {
  // Wild tasks took 1 s or 100 s, in turn; steady ones always took 12 s.
  const past = Array.from({ length: 24 }, (_, index) => {
    const wild = index % 2 === 0
    const work = wild ? (index % 4 === 0 ? 1000 : 100_000) : 12_000
    return { work, at: index * 400_000, name: wild ? 'wild' : 'steady' }
  })
  const at = 24 * 400_000
  const wild = Array.from({ length: 6 }, () => ({ work: 100_000, at, name: 'wild' }))
  const steady = Array.from({ length: 6 }, () => ({ work: 12_000, at, name: 'steady' }))
  const tasks = [...past, ...wild, ...steady]
  const policy = learnedIndependent(createStatistics(), { share: 0 })
  const order = placed(runPolicy(tasks, nodesOf([1, 1]), policy)).filter((id) => id > past.length)
  const names = order.map((id) => tasks[id - 1]!.name)
  expect(names.slice(0, 7).filter((name) => name === 'wild')).toHaveLength(1)
})

test('of two tasks with nearly the same median the one that may take far longer goes last', () => {
  // Quantiles of e^(ln median + spread × logit), a bell in ln t.
  const predicted = (medianMs: number, meanMs: number, spread: number): Prediction => ({
    meanMs,
    medianMs,
    quantileMs: (q) => medianMs * (q / (1 - q)) ** spread,
    remainingMs: () => medianMs,
    failureProbability: 0,
    memoryBytes: () => 0
  })
  const estimator: Estimator = {
    name: 'spread',
    classOf: (task) => task.name,
    predict: ({ name }) =>
      name === 'wild' ? predicted(10_000, 50_000, 1.5) : predicted(11_000, 11_050, 0.05),
    observe: () => undefined
  }
  const tasks: TaskSketch[] = [
    { work: 1000, name: 'first' },
    { work: 10_000, at: 1, name: 'wild' },
    { work: 11_000, at: 1, name: 'sure' }
  ]
  const policy = learnedIndependent(estimator, { share: 0 })
  expect(placed(runPolicy(tasks, nodesOf([1]), policy))).toEqual([1, 3, 2])
})

test('the first of a burst to finish moves its siblings', () => {
  const past = Array.from({ length: 16 }, (_, index) => ({
    work: index % 2 === 0 ? 2000 : 4000,
    at: index * 400_000,
    name: index % 2 === 0 ? 'x' : 'y'
  }))
  const at = 16 * 400_000
  const changed = Array.from({ length: 5 }, () => ({ work: 50_000, at, name: 'x' }))
  const steady = Array.from({ length: 5 }, () => ({ work: 4000, at, name: 'y' }))
  const tasks = [...past, ...changed, ...steady]
  const policy = learnedIndependent(createStatistics(), { share: 0 })
  const order = placed(runPolicy(tasks, nodesOf([1]), policy)).slice(past.length)
  // The class took 2 s, so it goes first; this burst turns out to take 50 s.
  const names = order.map((id) => tasks[id - 1]!.name).join('')
  expect(names).toBe('xyyyyyxxxx')
})

test('a task that shorter ones would overtake for ever gets its turn', () => {
  const flood = Array.from({ length: 2000 }, (_, index) => ({ work: 100, at: index * 50, cpu: 1000 }))
  const wide = { work: 5000, at: 60, cpu: 2000, name: 'wide' }
  const tasks = [flood[0]!, flood[1]!, wide, ...flood.slice(2)]
  const waitOf = (share: number): number => {
    const policy = learnedIndependent(truthOf(tasks), { share })
    return starts(runPolicy(tasks, machineOf(2000), policy))[2]! - wide.at
  }
  expect(waitOf(0)).toBeGreaterThan(90_000)
  expect(waitOf(0.1)).toBeLessThan(60_000)
})

test('a node that failed the task is left to others while there is room elsewhere', () => {
  const nodes = nodesOf([1, 1])
  let failed = 0
  const result = runPolicy([{ work: 100 }], nodes, learnedIndependent(createStatistics()), {
    model: {
      start: (task, node, _context, plan) => {
        plan.runMs = task.workMs
        plan.succeeds = node.id !== nodes[0]!.id
        if (!plan.succeeds) failed++
      }
    }
  })
  expect(failed).toBe(1)
  expect(result.node[0]).toBe(2)
})

test('packing keeps room together: a small task goes where it leaves the large one its place', () => {
  const nodes = nodesOf([1, 1], 8).map((node, index) => ({
    ...node,
    resources: { cpu: 8000, memory: index === 0 ? 64 : 8 }
  }))
  const tasks = [
    { work: 1000, resources: { cpu: 1000, memory: 16 } },
    { work: 2000, resources: { cpu: 7000, memory: 8 } }
  ]
  const result = runPolicy(tasks, nodes, learnedIndependent(truthOf(tasks)))
  expect(Array.from(result.startedAt)).toEqual([0, 0])
})

test('a policy that takes over knows of what runs and what waits', () => {
  const tasks = Array.from({ length: 30 }, (_, index) => ({ work: 1000 + index, at: index * 10 }))
  const first = learnedIndependent(createStatistics())
  let successor: ReturnType<typeof learnedIndependent> | undefined
  let turns = 0
  const result = runPolicy(tasks, nodesOf([1, 1, 1]), {
    name: 'heir',
    reset: (view) => {
      first.reset(view)
    },
    onReady: (task, view) => {
      ;(successor ?? first).onReady(task, view)
    },
    onGone: (id, view) => {
      ;(successor ?? first).onGone(id, view)
    },
    onEnded: (feedback, view) => (successor ?? first).onEnded?.(feedback, view),
    next: (view) => {
      if (++turns === 25) {
        successor = learnedIndependent(createStatistics())
        successor.reset(view)
      }
      return (successor ?? first).next(view)
    }
  })
  expect(successor).toBeDefined()
  expect(result.succeeded.every((done) => done === 1)).toBe(true)
})

test('it keeps up with failures, stragglers and nodes of different speed', () => {
  const [instance] = [...syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 600, nodes: 4 }).instances(3, 0.9)]
  const run = (policy: ReturnType<typeof learnedIndependent>): number => {
    const { finishedAt } = simulate(instance!.workload, instance!.cluster, policy, {
      model: instance!.model()
    })
    return finishedAt.reduce((sum, at, index) => sum + at - instance!.workload.tasks[index]!.submittedAt, 0)
  }
  const learned = run(learnedIndependent(createStatistics()))
  const rng = createRng(1)
  const blind = run(shortestFirst({ name: 'random', estimator: oracle(() => 1 + rng.nextInt(1000)) }))
  expect(learned).toBeLessThan(blind)
})

test('what a completion says of many bursts of its class is asked for once', () => {
  const inner = createStatistics()
  const asked: number[] = []
  const counting: Estimator = {
    name: 'counting',
    classOf: (task) => inner.classOf(task),
    predict: (task, node) => {
      asked.push(task.id)
      return inner.predict(task, node)
    },
    observe: (feedback) => {
      inner.observe(feedback)
      asked.length = 0
    }
  }
  const BURSTS = 20
  const tasks = Array.from({ length: BURSTS }, (_, index) => ({ work: 1000, at: index * 1_000_000 }))
  const view = new SimView(
    tasks.map((task, index) => new LiveTask(taskOf(task, index), [])),
    nodesOf([1]).map((node) => new LiveNode(node))
  )
  const queue = new IndependentQueue(counting)
  queue.reset(view)
  for (const task of view.tasks) queue.add(task, view)
  const first = queue.peek(view)!
  queue.gone(first.taskId, view)
  const feedback: AttemptFeedback = {
    task: view.tasks[first.taskId - 1]!,
    node: first.node,
    end: 'succeeded',
    runMs: 1000,
    peakMemoryBytes: 0
  }
  counting.observe(feedback)
  queue.ended(feedback, view)
  expect(asked).toHaveLength(1)
})

test('a probe that was cancelled before it began is waited for no longer', () => {
  const tasks = new Array<TaskSketch>(3).fill({ work: 1000 })
  const view = new SimView(
    tasks.map((task, index) => new LiveTask(taskOf(task, index), [])),
    nodesOf([1], 3).map((node) => new LiveNode(node))
  )
  const queue = new IndependentQueue(createStatistics())
  queue.reset(view)
  for (const task of view.tasks) queue.add(task, view)
  const probe = queue.peek(view)!
  queue.gone(probe.taskId, view)
  const meanwhile = queue.peek(view)!.areaMs
  queue.finished(probe.taskId, view)
  expect(queue.peek(view)!.areaMs).toBeLessThan(meanwhile)
})
