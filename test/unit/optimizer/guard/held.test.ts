/** What has not ended, in replays of what has. */
import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { timestampMs } from '../../../../base/units.ts'
import { compare } from '../../../../optimizer/guard/compare.ts'
import type { FinishedTask } from '../../../../optimizer/guard/history.ts'
import { compareOnRecent, isMostlyKnown, ofSurvivors } from '../../../../optimizer/guard/recent.ts'
import { createReplay, type DrawnTask } from '../../../../optimizer/guard/replay.ts'
import type { Unended, UnendedTask } from '../../../../optimizer/guard/unended.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import { finished, nodeFacts, unended } from './fixture.ts'

const fifo = policyFactory('fifo')
const BASE = { name: 'fifo', make: () => fifo }
const START = 1_000_000
const at = (ms: number) => ({ arrivedAt: timestampMs(START + ms), readyAt: timestampMs(START + ms) })

function replayed(history: readonly FinishedTask[], told: Unended, count = history.length) {
  return compareOnRecent(history, count, [nodeFacts(1)], told, BASE, [])
}

test('a queue whose long tasks have not ended has the load that it really has', () => {
  // A second apart, each tenth of 16 s and the others of 200 ms: 1,780 ms a second on two slots. An early long one has ended six times.
  const isLong = (index: number): boolean => index % 10 === 5
  const all = Array.from({ length: 200 }, (_, index) => index)
  const nameOf = (index: number): string => (isLong(index) ? 'long' : 'short')
  const isOver = (index: number): boolean => !isLong(index) || index < 60
  const ended = all.filter(isOver).map((index) =>
    finished(index + 1, {
      ...{ ...at(index * 1_000), name: nameOf(index), runMs: isLong(index) ? 16_000 : 200 },
      finishedAt: timestampMs(START + index * 1_000 + 200)
    })
  )
  const running = { node: nodeId(1), forMs: 9_000 }
  const waiting = all
    .filter((index) => !isOver(index))
    .map((index) =>
      unended(index + 1, {
        ...{ ...at(index * 1_000), name: nameOf(index), running: index < 80 ? running : undefined }
      })
    )
  expect(waiting).toHaveLength(14)
  const without = replayed(ended, { tasks: [], others: 14 })
  const held = replayed(ended, { tasks: waiting, others: 0 })
  expect(without).toMatchObject({ tasks: 186, drawn: 0, unended: 14 })
  expect(held).toMatchObject({ tasks: 200, drawn: 14, unended: 14, units: { tasks: 200, dags: 0 } })
  expect(without.load).toBeLessThan(0.4)
  expect(held.load).toBeCloseTo((20 * 16 + 180 * 0.2) / (2 * 199), 2)
})

test('what has ended since it was told of, or arrived at another time, is not held', () => {
  const history = Array.from({ length: 40 }, (_, index) => finished(index + 1, at(index)))
  const told = [
    unended(40, at(39)),
    unended(41, at(20)),
    unended(42, at(39)),
    unended(43, at(19)),
    unended(44, at(40))
  ]
  expect(replayed(history, { tasks: told, others: 3 }, 20)).toMatchObject({
    tasks: 22,
    drawn: 2,
    unended: 5
  })
})

test('too few ended tasks are too few, whatever has not ended', () => {
  const history = Array.from({ length: 19 }, (_, index) => finished(index + 1, at(index)))
  const told = Array.from({ length: 30 }, (_, index) => unended(100 + index, at(5)))
  expect(() => replayed(history, { tasks: told, others: 0 })).toThrow('got 19 ended tasks to replay')
})

test('a replay is of survivors when more than a third is missing, and mostly known unless more has not ended', () => {
  const extent = (drawn: number, missing: number, ended = 20, leftOut = 0) => ({
    ...{ tasks: ended + drawn, drawn, leftOut, unended: drawn + missing }
  })
  const survivors = [extent(0, 10), extent(0, 11), extent(2, 11), extent(900, 0), extent(0, 10, 15, 5)]
  expect(survivors.map(ofSurvivors)).toEqual([false, true, false, false, false])
  const known = [extent(0, 10), extent(0, 11), extent(10, 0), extent(11, 0), extent(5, 6)]
  expect(known.map(isMostlyKnown)).toEqual([true, false, true, false, false])
})

const drawnOf = (workMs: number, ...tasks: UnendedTask[]): DrawnTask[] =>
  tasks.map((task) => ({ task, workMs }))

test('what waits for tasks of the replay waits there too, and what waits for others is left out', () => {
  const never = timestampMs(0)
  const ended = [finished(5, { group: taskId(5), ...at(0) })]
  const drawn = drawnOf(
    300,
    // Of an ended one, and of one that has not ended.
    unended(6, { group: taskId(5), needs: [taskId(5)], ...at(0) }),
    unended(7, { group: taskId(5), needs: [taskId(6)], ...at(0), readyAt: never }),
    // Nobody knows when 4 ends.
    unended(8, { group: taskId(5), needs: [taskId(4), taskId(5)], ...at(0), readyAt: never }),
    unended(9, { group: taskId(5), needs: [taskId(8)], ...at(0), readyAt: never }),
    // Its need had ended before, so it arrived when it became ready.
    unended(10, { needs: [taskId(3)], ...at(0), readyAt: timestampMs(START + 700) }),
    // No node could run it.
    unended(11, { nodeSelector: { gpu: 'yes' }, ...at(0) })
  )
  const replay = createReplay(ended, [nodeFacts(1)], new Map(), drawn)!
  expect(replay).toMatchObject({ drawn: 3, leftOut: 0 })
  const { finishedAt } = simulate(replay.workload, replay.cluster, fifo(createRng(1)), {
    model: replay.model()
  })
  // Of 5, 6, 7 and 10.
  expect([...finishedAt]).toEqual([100, 400, 700, 1_000])
  expect([...replay.recordedEndsMs]).toEqual([ended[0]!.finishedAt - START, -1, -1, -1])
  expect(createReplay([], [nodeFacts(1)], new Map(), drawn)).toBeUndefined()
})

test('a drawn run time is of a node of speed 1', () => {
  const speeds = new Map([[nodeId(1), 2]])
  const replay = createReplay([finished(1, at(0))], [nodeFacts(1)], speeds, drawnOf(300, unended(2, at(0))))!
  expect(replay.workload.tasks.map(({ workMs }) => workMs)).toEqual([200, 300])
})

test('a DAG some of whose tasks have not ended counts once, and has no record', () => {
  const dag = { group: taskId(3), ...at(0) }
  const ended = [finished(1, at(0)), finished(3, dag), finished(4, { ...dag, needs: [taskId(3)] })]
  const drawn = drawnOf(300, unended(5, { ...dag, needs: [taskId(3)] }), unended(6, at(0)))
  const replay = createReplay(ended, [nodeFacts(1, { slots: 9 })], new Map(), drawn)!
  const { units, recorded, results } = compare(replay, { name: 'fifo', make: fifo }, [])
  expect(units).toEqual({ tasks: 2, dags: 1 })
  // Task 1 took 100 ms in the replay, the DAG 400, and what waits alone 300.
  expect(results[0]!.meanJctMs).toBeCloseTo((100 + 400 + 300) / 3)
  expect(recorded).toEqual({
    units: 1,
    meanJctMs: ended[0]!.finishedAt - START,
    replayedMeanJctMs: 100
  })
  const whole = createReplay(ended.slice(1), [nodeFacts(1)], new Map(), drawn)!
  expect(compare(whole, { name: 'fifo', make: fifo }, []).recorded).toBeUndefined()
})
