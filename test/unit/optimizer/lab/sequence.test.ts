import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { timestampMs } from '../../../../base/units.ts'
import { findPolicies } from '../../../../optimizer/lab/catalog.ts'
import { ContinuedPolicy } from '../../../../optimizer/lab/continued.ts'
import { runProtocol } from '../../../../optimizer/lab/protocol.ts'
import type { Run } from '../../../../optimizer/lab/protocol.ts'
import { workflowTrace } from '../../../../optimizer/lab/wfinstances-trace.ts'
import type { Workflow } from '../../../../optimizer/lab/wfinstances.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import type { Policy } from '../../../../scheduler/policy.ts'

const COUNT = 12
const NODES = 4
const SEEDS = 4

/** Two short tasks and a long one, which had better not get a slow node, before a last one. */
function workflow(number: number): Workflow {
  const task = (name: string, runS: number, parents: number[]): Workflow['tasks'][number] => ({
    name,
    runS,
    parents: parents.map((parent) => [parent, 0] as const),
    inputBytes: 0,
    memoryBytes: 0
  })
  const first = ['short', 'short', 'long'].map((name) => task(name, name === 'long' ? 100 : 10, []))
  return { id: `w${number}`, app: 'app', tasks: [...first, task('last', 20, [0, 1, 2])] }
}

const workflows = Array.from({ length: COUNT }, (_, index) => workflow(index))
const trace = workflowTrace('made up', workflows, NODES)

function runsOf(
  names: readonly string[],
  seeds = 1
): { runs: Run[]; report: ReturnType<typeof runProtocol> } {
  const runs: Run[] = []
  const policies = findPolicies(names)
  const report = runProtocol(trace, {
    policies,
    load: undefined,
    seeds,
    onResult: (run) => runs.push(run)
  })
  return { runs, report }
}

test('a workflow is what its instance is a sample of, whatever the seed', () => {
  const samples = (seed: number): unknown[] =>
    [...trace.instances(seed, undefined)].map(({ sample }) => sample)
  expect([...samples(0)].sort()).toEqual(workflows.map(({ id }) => id).sort())
  expect([...samples(1)].sort()).toEqual([...samples(0)].sort())
})

test('what was learned from one workflow is known in the next, unless the policy is to forget it', () => {
  const { runs } = runsOf(['learned', 'learned-isolated'], SEEDS)
  const endsOf = (name: string, seed: number): number[] =>
    runs.filter((run) => run.policy === name && run.seed === seed).map(({ result }) => result.endedAt)
  let remembered = 0
  let forgotten = 0
  for (let seed = 0; seed < SEEDS; seed++) {
    const [remembering, forgetting] = [endsOf('learned', seed), endsOf('learned-isolated', seed)]
    expect(remembering[0]).toBe(forgetting[0])
    // All workflows are alike, so who forgets does the same each time.
    expect(new Set(forgetting).size).toBe(1)
    remembered += remembering.at(-1)!
    forgotten += forgetting.at(-1)!
  }
  // With some speeds the first guess is right by luck.
  expect(remembered).toBeLessThan(0.97 * forgotten)
})

test('each seed starts from nothing', () => {
  const { runs } = runsOf(['learned'], 2)
  const again = runsOf(['learned'], 1).runs
  expect(runs.slice(0, COUNT).map(({ result }) => result.endedAt)).toEqual(
    again.map(({ result }) => result.endedAt)
  )
  const learned = findPolicies(['learned'])[0]!
  const isolated = runsOf(['learned-isolated'], 2).runs
  expect(learned.continues).toBe(true)
  expect(runs[COUNT]!.result.endedAt).toBe(isolated[COUNT]!.result.endedAt)
})

test('the first tenth of a sequence is its cold start, and the headline is over all', () => {
  const { report } = runsOf(['learned'], SEEDS)
  const { makespanRatio, coldStart, warm } = report.policies[0]!
  const cold = Math.ceil(COUNT / 10)
  expect(coldStart.makespanRatio).toBeGreaterThan(warm.makespanRatio!)
  expect(makespanRatio).toBeCloseTo(
    (cold * coldStart.makespanRatio! + (COUNT - cold) * warm.makespanRatio!) / COUNT,
    9
  )
})

test('a seed draws speeds and the order of the workflows, and leaves none out', () => {
  const namesOf = (seed: number): string[] =>
    [...trace.instances(seed, undefined)].map(({ workload }) => workload.name)
  const all = workflows.map(({ id }) => id)
  expect(namesOf(0)).not.toEqual(all)
  expect(namesOf(1)).not.toEqual(namesOf(0))
  expect(namesOf(1)).toEqual(namesOf(1))
  expect(namesOf(0).sort()).toEqual(all.sort())
})

/** What a policy is shown: each task as it becomes ready, and times, with a wish to be woken soon after each. */
interface Shown {
  readonly ready: {
    id: number
    group: number
    submittedAt: number
    readyAt: number
    needs: readonly number[]
  }[]
  readonly times: number[]
}

const WAKE_MS = 7

/** Serves in order and asks the view about all that it was told. */
function onlooker(shown: Shown): Policy {
  const inner = policyFactory('fifo')(createRng(1))
  let woken = false
  return {
    name: 'onlooker',
    reset: (view) => {
      inner.reset(view)
    },
    onReady: (task, view) => {
      const { id, group, submittedAt, readyAt, needs } = task
      shown.ready.push({ id, group, submittedAt, readyAt, needs })
      expect(view.task(id)).toBe(task)
      inner.onReady(task, view)
    },
    onGone: (id, view) => {
      inner.onGone(id, view)
    },
    onEnded: ({ task, runMs }, view) => {
      const before = shown.ready.find(({ id }) => id === task.id)!
      expect(view.now - runMs).toBeGreaterThanOrEqual(before.readyAt)
    },
    next: (view) => {
      shown.times.push(view.now)
      expect([...view.ready()].map(({ id }) => id)).toEqual([...view.readyIds()])
      for (const { taskId: id, placedAt } of view.running()) {
        expect(view.task(id)?.id).toBe(id)
        expect(placedAt).toBeLessThanOrEqual(view.now)
      }
      const choice = inner.next(view)
      woken = choice === undefined
      return choice
    },
    wakeAt: (view) => (woken ? timestampMs(view.now + WAKE_MS) : undefined)
  }
}

test('a policy that goes on is shown times that do, and tasks by numbers that no run before had', () => {
  const shown: Shown = { ready: [], times: [] }
  const [instance] = [...trace.instances(0, undefined)]
  const { workload, cluster } = instance!
  const policy = new ContinuedPolicy(onlooker(shown))
  const run = (): { ready: Shown['ready']; times: number[]; endedAt: number } => {
    shown.ready.length = shown.times.length = 0
    const result = simulate(workload, cluster, policy, { model: instance!.model() })
    policy.runEnded(result)
    return { ready: [...shown.ready], times: [...shown.times], endedAt: result.endedAt }
  }
  const first = run()
  const second = run()
  expect(second.endedAt).toBe(first.endedAt)
  expect(first.times.some((at, index) => at === first.times[index - 1]! + WAKE_MS)).toBe(true)
  expect(second.times).toEqual(first.times.map((at) => at + first.endedAt))
  const count = workload.tasks.length
  expect(second.ready).toEqual(
    first.ready.map(({ id, group, submittedAt, readyAt, needs }) => ({
      id: id + count,
      group: group + count,
      submittedAt: submittedAt + first.endedAt,
      readyAt: readyAt + first.endedAt,
      needs: needs.map((need) => need + count)
    }))
  )
})

test('the guard sees a history of workflows that follow each other, and goes over to what ends them sooner', () => {
  const many = workflowTrace(
    'many',
    Array.from({ length: 500 }, (_, index) => workflow(index)),
    NODES
  )
  const sums = new Map<string, number>()
  runProtocol(many, {
    policies: findPolicies(['least-loaded', 'learned', 'guarded']),
    load: undefined,
    seeds: 1,
    onResult: ({ policy, index, result }) => {
      if (index >= 400) sums.set(policy, (sums.get(policy) ?? 0) + result.endedAt)
    }
  })
  const [safe, learned, guarded] = ['least-loaded', 'learned', 'guarded'].map((name) => sums.get(name)!)
  expect(learned!).toBeLessThan(0.97 * safe!)
  expect(guarded! / learned!).toBeCloseTo(1, 3)
})
