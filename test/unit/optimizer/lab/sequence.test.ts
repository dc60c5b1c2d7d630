import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import type { TaskView } from '../../../../scheduler/policy.ts'
import { findPolicies } from '../../../../optimizer/lab/catalog.ts'
import { Memory } from '../../../../optimizer/lab/memory.ts'
import { runProtocol } from '../../../../optimizer/lab/protocol.ts'
import type { Run } from '../../../../optimizer/lab/protocol.ts'
import { workflowTrace } from '../../../../optimizer/lab/wfinstances-trace.ts'
import type { Workflow } from '../../../../optimizer/lab/wfinstances.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { unit } from '../../../../optimizer/policies/predictors.ts'

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
  expect(learned.remembers).toBeDefined()
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

test('the time of what is remembered goes on from run to run', () => {
  const heard: number[] = []
  const inner: Estimator = {
    ...unit(),
    placed: (_task, _node, now) => {
      heard.push(now)
    },
    advance: (now) => {
      heard.push(now)
      return []
    }
  }
  const memory = new Memory(inner)
  const task = { id: taskId(1) } as TaskView
  const node = { id: nodeId(1), profile: 'p' } as Parameters<NonNullable<Estimator['placed']>>[1]
  memory.estimator.placed?.(task, node, 5)
  memory.runEnded(100)
  memory.estimator.placed?.(task, node, 5)
  memory.runEnded(20)
  memory.estimator.advance?.(1)
  expect(heard).toEqual([5, 105, 121])
})
