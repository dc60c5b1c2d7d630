import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { timestampMs } from '../../../../base/units.ts'
import type { ReplayAnswer } from '../../../../node/optimizer/protocol.ts'
import { answerReplay } from '../../../../node/optimizer/replays.ts'
import {
  comparisonView,
  mostReplayed,
  type ComparedCluster
} from '../../../../node/wiring/policy-comparison.ts'
import { History } from '../../../../optimizer/guard/history.ts'
import { EVERYTHING } from '../../../../optimizer/lab/statistics.ts'
import type { Interval } from '../../../../optimizer/lab/statistics.ts'
import { NOTHING_UNENDED, type Unended, type UnendedTask } from '../../../../optimizer/guard/unended.ts'
import { finished, nodeFacts, unended as waiting } from '../../optimizer/guard/fixture.ts'

const START = 1_000_000
const ONE_A_SECOND = 1_000

/** The view of a replay of 100 tasks of 0.1 s, one a second, each of which really took `waitMs` and its run time. */
function compared(
  waitMs: number,
  cluster: Partial<ComparedCluster> = {},
  changes: Partial<ReplayAnswer> = {},
  unended: Unended = NOTHING_UNENDED
) {
  const history = new History(200)
  for (let id = 1; id <= 200; id++) {
    const arrivedAt = timestampMs(START + id * ONE_A_SECOND)
    history.add(finished(id, { arrivedAt, finishedAt: timestampMs(arrivedAt + waitMs + 100) }))
  }
  const answer = answerReplay(history, {
    type: 'replay',
    count: 100,
    nodes: [nodeFacts(1)],
    unended,
    contenders: ['least-loaded', 'fifo'].map((name) => ({ name, policy: name, weights: undefined }))
  })
  return comparisonView(
    { ...answer, ...changes },
    {
      nodes: 1,
      settings: { policy: 'least-loaded', policyChange: undefined },
      ...cluster
    }
  )
}

test('what really happened stands beside the replay, with a note where the two are far apart', () => {
  const near = compared(40)
  expect(near.actual).toEqual({
    units: 100,
    meanJctMs: 140,
    replayedMeanJctMs: 100,
    policy: 'least-loaded'
  })
  expect(near.policies[0]?.meanJctMs).toBeCloseTo(100)
  expect(near.notes).toEqual([])
  const far = compared(81_990)
  expect(far.actual?.meanJctMs).toBe(82_090)
  expect(far.notes).toHaveLength(1)
  expect(far.notes?.[0]).toMatch(
    /^in the mean the tasks that have ended really took 82\.0 s, and in the replay under least-loaded 100 ms: tasks outside the window were waiting too/
  )
  const recorded = { units: 100, meanJctMs: 60, replayedMeanJctMs: 100 }
  expect(compared(0, {}, { recorded }).notes?.[0]).toContain('they ran on other nodes')
  expect(compared(0, {}, { recorded: undefined }).actual).toBeUndefined()
})

test('who placed the tasks is said where it was one policy', () => {
  const change = (at: number) => ({
    settings: {
      policy: 'learned',
      policyChange: { at: timestampMs(at), from: 'fifo', to: 'learned', reason: '', returns: 0 }
    }
  })
  expect(compared(0, change(START)).actual?.policy).toBe('learned')
  const changed = compared(0, change(START + 150 * ONE_A_SECOND))
  expect(changed.actual).toEqual({ units: 100, meanJctMs: 100, replayedMeanJctMs: 100 })
  expect(changed.notes).toEqual(['the policy went from fifo to learned after the first of them arrived'])
})

test('what arrived within the same time and has not ended is counted, and so is what no node could run', () => {
  // The window is from the 101st to the 200th arrival.
  const tasks = [100, 101, 200, 201].map((second, at) =>
    waiting(300 + at, { arrivedAt: timestampMs(START + second * ONE_A_SECOND) })
  )
  const view = (others: number, drawn: readonly UnendedTask[]) =>
    compared(0, {}, { leftOut: 7 }, { tasks: drawn, others })
  const unable = 'tasks that no node of today could run: 7; they are not replayed'
  const counted = 'tasks that arrived within the same time and have not ended:'
  const some = view(3, tasks)
  expect(some).toMatchObject({ tasks: 102, units: { tasks: 102, dags: 0 }, drawn: 2, unended: 5 })
  expect(some.notes).toEqual([
    `${counted} 5; 2 of them are replayed, with run times drawn from those of tasks like them`,
    unable
  ])
  expect(view(3, []).notes).toEqual([`${counted} 3; they are not replayed`, unable])
  expect(view(0, []).notes).toEqual([unable])
})

test('what really happened is said of those that have ended, whatever is replayed beside them', () => {
  const arrivedAt = timestampMs(START + 150 * ONE_A_SECOND)
  const running = { node: nodeId(1), forMs: 500_000 }
  const { actual, policies } = compared(
    40,
    {},
    {},
    { tasks: [waiting(300, { arrivedAt, running })], others: 0 }
  )
  expect(actual).toMatchObject({ units: 100, meanJctMs: 140 })
  expect(actual?.replayedMeanJctMs).toBeCloseTo(100)
  expect(policies[0]?.meanJctMs).toBeGreaterThan(5_000)
})

test('an end of an interval that is not known is null, since JSON has no infinity, and the interval never is', () => {
  expect(compared(0).policies[1]?.gain.ci95).toEqual({ low: 0, high: 0 })
  const saved = (relativeInterval: Interval): unknown => {
    const jct = { difference: 0, relative: 0, ...EVERYTHING, relativeInterval }
    const times = { meanJctMs: 100, p95JctMs: 1, p99JctMs: 1, boundedSlowdown: 1 }
    const results = [{ name: 'least-loaded', ...times, jct, slowdown: jct }]
    return compared(0, {}, { results }).policies[0]?.gain
  }
  expect(saved(EVERYTHING)).toEqual({ mean: 0, ci95: { low: null, high: null } })
  expect(saved({ low: -0.1, high: Infinity })).toEqual({ mean: 0, ci95: { low: null, high: 0.1 } })
})

test('who asks too early is told how many tasks must have ended, not how many of them would be replayed', () => {
  expect(() => mostReplayed(25)).toThrow('got 25 ended tasks, expected at least 26: three quarters of them')
  expect(mostReplayed(26)).toBe(20)
  expect(mostReplayed(4_000)).toBe(3_000)
})
