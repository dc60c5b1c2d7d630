import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { DeadlineWatch } from '../../../../optimizer/advice/deadlines.ts'
import type { Finish } from '../../../../optimizer/advice/deadlines.ts'

const deadline = { id: taskId(1), deadlineAt: 20_000 }
const p90 = (at: number): Finish => ({ type: 'p90', at })

test('a deadline that is at risk stays so until the p90 lies within half of the time that is left', () => {
  const watch = new DeadlineWatch()
  const at = (now: number, finish: Finish): unknown => watch.judge(deadline, now, finish)
  expect(at(4000, p90(20_000))).toBeUndefined()
  const raised = { is: 'at-risk', since: 5000 }
  expect(at(5000, p90(20_001))).toEqual(raised)
  // Forecasts that differ by what they are drawn by.
  for (const finish of [19_000, 21_000, 16_000, 30_000, 13_001]) expect(at(6000, p90(finish))).toEqual(raised)
  expect(at(6000, { type: 'unknown' })).toEqual(raised)
  expect(at(6000, { type: 'not-before', at: 7000 })).toEqual(raised)
  expect(at(6000, p90(13_000))).toBeUndefined()
  expect(at(6000, p90(19_000))).toBeUndefined()
  expect(at(7000, p90(21_000))).toEqual({ is: 'at-risk', since: 7000 })
})

test('nothing is wrong where nothing is known, at once what never ends, and a miss since the deadline itself', () => {
  const watch = new DeadlineWatch()
  expect(watch.judge(deadline, 1, { type: 'unknown' })).toBeUndefined()
  expect(watch.judge(deadline, 1, { type: 'not-before', at: 20_000 })).toBeUndefined()
  expect(watch.judge(deadline, 2, { type: 'not-before', at: 20_001 })).toEqual({ is: 'at-risk', since: 2 })
  watch.forget(taskId(1))
  expect(watch.judge(deadline, 3, { type: 'never' })).toEqual({ is: 'at-risk', since: 3 })
  expect(watch.judge(deadline, 600_000, { type: 'unknown' })).toEqual({ is: 'missed', since: 20_000 })
  expect(watch.judge({ id: taskId(2), deadlineAt: 0 }, 1, { type: 'never' })).toBeUndefined()
})
